"""What is there, what will be done, what a file is called, and how it is written."""
