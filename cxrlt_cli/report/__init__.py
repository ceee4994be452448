"""Figures, and what is told of artifacts."""
