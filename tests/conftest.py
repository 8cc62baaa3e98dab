"""What all tests start from."""

import signal

# What is started in the background of a shell ignores Ctrl-C, and so would every process that a test starts and stops.
signal.signal(signal.SIGINT, signal.default_int_handler)
