"""Published tables as measurements."""
