"""Images to train and judge on."""
