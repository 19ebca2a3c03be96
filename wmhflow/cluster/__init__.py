"""Runs on a cluster: what is sent to a scheduler, and what became of it."""
