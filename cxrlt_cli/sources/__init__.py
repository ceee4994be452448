"""Readers of published datasets, one file each: folder layout, label tables, and the meaning of values."""
