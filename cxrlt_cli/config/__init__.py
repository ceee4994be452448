"""The options of each command: one frozen dataclass a command, its docstring the command's help."""
