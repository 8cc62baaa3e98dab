"""Functions of the front door, whose defaults suit a script; import them from ``codesign``."""
