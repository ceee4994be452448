"""Measures the speed of each part of the work, relative to the machine's limits."""
