"""Torch at run time: devices, processes, precision and memory layout. Does not depend on options or stages."""
