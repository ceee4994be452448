"""One idea of the literature a file. Torch only; nothing of ours is imported."""
