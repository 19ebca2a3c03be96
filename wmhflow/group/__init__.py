"""The study: every person's tables gathered, and tables made of all of them."""
