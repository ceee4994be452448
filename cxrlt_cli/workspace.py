"""Paths of the artifacts in a workspace."""

from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.errors import UserError


@dataclass(frozen=True)
class Workspace:
    """The folder of a pipeline's artifacts. Every path here is the default of an option."""

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
    """Checks an artifact name given by a user.

    Raises:
        UserError: the name would leave the folder or be a hidden file.
    """
    if not name or name.startswith(".") or any(mark in name for mark in "/\\\0") or len(name.encode()) > 200:
        raise UserError(
            f"{name!r} cannot be an artifact's name", "use letters, digits, '-', '_' and '.', not beginning with '.'"
        )
    return name


def shard_name(name: str, index: int, count: int) -> str:
    """The name of one shard of a cache, `index` from 0."""
    return f"{name}.shard-{index:05}-of-{count:05}"


def newest(paths: list[Path]) -> Path | None:
    """The most recently written path; ties are resolved by name."""
    return max(paths, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
