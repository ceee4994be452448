"""From runs to scores: forward passes, views, merging of views and models."""
