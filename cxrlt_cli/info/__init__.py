"""Describes an artifact from its content."""
