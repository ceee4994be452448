"""Readers of the images, and expert labels, beside the scores of a network."""
