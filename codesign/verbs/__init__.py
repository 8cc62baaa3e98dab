"""What each verb of the command line does with a run folder; every one can be stopped and called again to go on."""
