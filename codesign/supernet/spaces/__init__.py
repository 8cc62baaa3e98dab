"""Elastic spaces: which subnets a supernet holds."""
