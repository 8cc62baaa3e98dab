"""Published supernets, predictors and specialised networks."""
