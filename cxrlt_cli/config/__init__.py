"""The options of each stage: one frozen dataclass a stage."""
