"""Measurements beside what a user would otherwise take; no part of the installed program."""
