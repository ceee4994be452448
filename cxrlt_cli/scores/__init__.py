"""Predictions beside the labels of the same images, calibrated or merged by study: the start of every metric."""
