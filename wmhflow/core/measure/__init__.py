"""What is measured in regions: volumes, samples of maps, profiles, the other side."""
