"""Torch at run time: devices, processes, precision and memory layout. Knows no options and no stage."""
