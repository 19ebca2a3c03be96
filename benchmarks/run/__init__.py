"""What a run costs: time, memory, and the files that it makes."""
