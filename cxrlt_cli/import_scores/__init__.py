"""Imports the scores of other tools as predictions."""
