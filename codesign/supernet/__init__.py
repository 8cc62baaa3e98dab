"""Elastic networks: spaces, training by progressive shrinking, accuracy."""
