"""Predictions joined with the labels of the same images, calibrated or merged per study if asked for."""
