"""Labels that the scores contradict, for a human to review."""
