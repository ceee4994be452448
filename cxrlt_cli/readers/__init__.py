"""Readers of the images and expert labels, compared with the scores of a network."""
