"""Kernels on plain arrays: what is checked before them, threads, boxes, distances."""
