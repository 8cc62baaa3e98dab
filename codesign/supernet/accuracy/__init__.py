"""Accuracies of subnets: measured, predicted by our predictor, or by a published one."""
