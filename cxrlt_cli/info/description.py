"""What is told of an artifact."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Told:
    """An artifact in words.

    Attributes:
        what: a few words: what kind of artifact it is.
        lines: name and value, for the eye.
        facts: the same and more, as JSON.
        provenance: its record.
        tables: aligned plain text, for the eye.
    """

    what: str
    lines: list[tuple[str, str]]
    facts: dict[str, Any]
    provenance: dict[str, Any]
    tables: list[str] = field(default_factory=list)
