"""Scans of every kind that a hospital makes, simulated from label images with planted lesions."""
