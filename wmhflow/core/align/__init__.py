"""How two images are brought together, and how good that is."""
