"""How the network that weighs the search for WMH is trained, on simulated scans alone."""
