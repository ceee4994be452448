"""Average precision, AUROC: arrays in, numbers out. Nothing of ours is imported."""
