"""From runs to scores: forward passes, test-time augmentation, merging of views, members and studies."""
