"""Building, storing and running what was emitted."""
