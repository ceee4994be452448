"""Evaluation of predictions: metrics, calibration, comparison."""
