"""What will be done, by kind of input: decided from names and headers, before anything runs."""
