"""Models that leave the workspace: the commands `export` and `pack`."""
