"""What the numbers in label images mean, and where a number is made or read."""
