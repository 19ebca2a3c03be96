"""The command line: parser, run, exit codes, progress."""
