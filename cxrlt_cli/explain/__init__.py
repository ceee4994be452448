"""Attention and attribution maps: which locations a label query attends to, and which raise the label's logit."""
