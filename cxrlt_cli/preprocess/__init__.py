"""From an image file to a square in the cache."""
