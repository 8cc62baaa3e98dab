"""Coefficients from measurements: fit, intervals, planning, and timing models of engines."""
