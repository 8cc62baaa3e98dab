"""Measured runs, plans of runs to measure, and importers of published tables."""
