"""What a series of echoes must have, whoever asks: a plan, too, which compiles nothing."""

# For a line over echo time whose fit can be judged.
LEAST_ECHOES = 3
# The main field of scanners, T; one in gauss or in MHz lies outside.
FIELD_T = (0.05, 14.0)
