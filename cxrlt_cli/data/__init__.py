"""From artifacts to batches; augmentation on whole batches."""
