"""Where a network looked, and what of an image moved the score of a label."""
