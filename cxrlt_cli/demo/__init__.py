"""Made-up radiographs with a long tail."""
