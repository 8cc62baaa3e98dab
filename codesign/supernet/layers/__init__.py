"""Elastic layers, which lend a part of their weights to smaller forms."""
