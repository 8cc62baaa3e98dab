"""The run folder, and a record for every file in it."""
