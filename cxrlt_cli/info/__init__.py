"""What an artifact is, read from its content."""
