"""What predictions are worth: metrics, calibration, comparison."""
