"""Where the artifacts of a workspace stand."""

from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.errors import UserError


@dataclass(frozen=True)
class Workspace:
    """The folder that a pipeline's artifacts share. Every path here is the default of an option that can name another."""

    root: Path

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def label_embeddings(self) -> Path:
        return self.root / "label_embeddings.parquet"

    @property
    def dataset(self) -> Path:
        return self.root / "dataset.parquet"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def predictions(self) -> Path:
        return self.root / "predictions"

    @property
    def ensembles(self) -> Path:
        return self.root / "ensembles"

    @property
    def evaluations(self) -> Path:
        return self.root / "evaluations"

    @property
    def comparisons(self) -> Path:
        return self.root / "comparisons"

    @property
    def calibrations(self) -> Path:
        return self.root / "calibrations"

    @property
    def studies(self) -> Path:
        return self.root / "studies"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def explanations(self) -> Path:
        return self.root / "explanations"


def checked_name(name: str) -> str:
    """An artifact's name as a user gave it.

    Raises:
        UserError: it would leave its folder or hide in it.
    """
    if not name or name.startswith(".") or any(mark in name for mark in "/\\\0") or len(name.encode()) > 200:
        raise UserError(
            f"{name!r} cannot be an artifact's name", "use letters, digits, '-', '_' and '.', not beginning with '.'"
        )
    return name


def newest(paths: list[Path]) -> Path | None:
    """The path that was written last; names decide between equal times."""
    return max(paths, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
