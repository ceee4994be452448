"""The options in which runs or predictions differ."""

from typing import Any


def differing(options: list[dict[str, Any]], names: list[str]) -> dict[str, dict[str, Any]]:
    """Option -> entry -> value, of the options that differ between entries; None if an entry lacks the option."""
    every = dict.fromkeys(key for entry in options for key in entry)
    values = {key: [entry.get(key) for entry in options] for key in every}
    return {key: dict(zip(names, found, strict=True)) for key, found in values.items() if any(v != found[0] for v in found)}
