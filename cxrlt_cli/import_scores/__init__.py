"""Scores of other tools become predictions."""
