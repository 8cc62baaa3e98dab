"""What each command does with a run folder; every one can be stopped and called again to go on."""
