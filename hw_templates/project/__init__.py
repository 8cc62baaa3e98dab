"""The emitted project: the files that depend on the hardware."""
