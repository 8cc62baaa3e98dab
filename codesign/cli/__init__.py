"""The command line: options, and all that is printed."""
