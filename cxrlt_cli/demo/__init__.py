"""Synthetic radiographs (phantoms) with a long-tailed label distribution."""
