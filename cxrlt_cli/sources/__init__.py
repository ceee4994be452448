"""The published datasets, one file each: where images and labels lie, and what their values mean."""
