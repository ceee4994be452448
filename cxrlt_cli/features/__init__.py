"""The stage `features`: feature maps of a frozen encoder, computed once."""
