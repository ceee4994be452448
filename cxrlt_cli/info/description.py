"""The description of an artifact."""

from dataclasses import dataclass, field
from typing import Any

from cxrlt_cli.artifacts.provenance import Provenance


@dataclass(frozen=True)
class Description:
    """Description of an artifact.

    Attributes:
        what: kind of artifact, in a few words.
        lines: names and values for display.
        facts: the same and more, for JSON.
        provenance: its provenance record.
        tables: aligned plain text for display.
    """

    what: str
    lines: list[tuple[str, str]]
    facts: dict[str, Any]
    provenance: Provenance
    tables: list[str] = field(default_factory=list)
