"""Average precision, AUROC: arrays in, numbers out. No other room is imported."""
