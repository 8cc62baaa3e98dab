"""Progressive shrinking: schedules, checkpoints and the training itself."""
