"""The one registry of labels, the one registry of maps, and the bibliography."""
