"""Time and memory at the size of a cohort, with visits that a script made."""
