"""What the engine does for a layer: its tiles, what it counts, and how many cycles it takes."""
