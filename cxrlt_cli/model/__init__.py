"""Visual encoders, the label-query decoder, classifiers."""
