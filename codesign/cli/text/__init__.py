"""The text that a user reads, made from the results of commands."""
