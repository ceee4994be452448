"""Models that leave the workspace: the command `export`."""
