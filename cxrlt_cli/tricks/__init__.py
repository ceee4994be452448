"""One published method per file. Depends on torch only."""
