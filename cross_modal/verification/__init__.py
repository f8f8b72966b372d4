"""Verification: same or different, with calibrated thresholds, probabilities and error rates that can be expected."""
