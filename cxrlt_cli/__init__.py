"""cxrlt: long-tailed multi-label classification of chest radiographs, from the command line."""

__version__ = "0.2.0"
