"""Boards: sessions that reach them, and the driver that runs programs on a loaded engine."""
