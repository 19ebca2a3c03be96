"""How near the program's results come to the truth, on people whose truth is known."""
