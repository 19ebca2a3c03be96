"""The drawing kernel of the report: arrays and numbers in, PNGs out; it knows no visit."""
