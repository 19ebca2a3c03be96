"""Functions that turn a plan into a nipype graph."""
