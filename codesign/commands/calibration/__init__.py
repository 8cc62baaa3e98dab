"""Commands that plan, measure, fit and show calibrations."""
