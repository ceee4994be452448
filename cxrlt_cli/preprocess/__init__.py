"""From an image file to the cached square."""
