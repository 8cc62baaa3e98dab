"""Supernets as torch modules, and subnets taken out of them."""
