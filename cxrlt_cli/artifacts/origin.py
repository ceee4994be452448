"""Where an encoder's weights come from: repository, revision and licence, kept next to the weights and in a run."""

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.json_files import read_json, write_json
from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import is_file

#: Written by `cxrlt fetch` next to the weights.
ORIGIN_FILE = "cxrlt_origin.json"
_NON_COMMERCIAL = re.compile(r"(^|[^a-z])nc([^a-z]|$)|non-?\s?commercial|research[- ]only", re.IGNORECASE)


@dataclass(frozen=True)
class Origin:
    """The origin of an encoder's weights.

    Attributes:
        repository: on the hub, or the local folder, or the address of the file.
        revision: the commit on the hub; else `sha256:` of the weights, or the version of the package.
        licence: as named by the model card; empty where none is named.
        gated: whether the hub gives the files only to users who accepted terms.
    """

    repository: str
    revision: str
    licence: str
    gated: bool = False

    def saved(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @property
    def restriction(self) -> str:
        """What limits the use of the weights, empty where nothing known does."""
        found = []
        if _NON_COMMERCIAL.search(self.licence):
            found.append(f"its licence is non-commercial ({self.licence})")
        if self.gated:
            found.append("it is gated: each user must have accepted its terms")
        return " and ".join(found)

    @property
    def described(self) -> str:
        """One line: repository, revision and licence."""
        licence = self.licence or "no licence named"
        return f"{self.repository}, revision {self.revision}, {licence}{', gated' if self.gated else ''}"


def write_origin(path: Path, origin: Origin) -> None:
    """Writes the origin next to the weights."""
    write_json(path, origin.saved())


def read_written(path: Path) -> Origin | None:
    """The origin that `write_origin` wrote; None where the file is not there or damaged, since the model card has it too."""
    try:
        return saved_origin(read_json(path)) if is_file(path) else None
    except UserError:
        return None


def saved_origin(content: Any) -> Origin | None:
    """The origin in saved plain values, None where they are not one."""
    kinds = {field.name: bool if field.name == "gated" else str for field in fields(Origin)}
    if not isinstance(content, dict) or set(content) != set(kinds):
        return None
    return Origin(**content) if all(isinstance(content[name], kind) for name, kind in kinds.items()) else None
