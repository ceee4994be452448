"""Paths of the artifacts in a workspace."""

import unicodedata
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
    def features(self) -> Path:
        return self.root / "features"

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
    def corrections(self) -> Path:
        return self.root / "corrections"

    @property
    def calibrations(self) -> Path:
        return self.root / "calibrations"

    @property
    def studies(self) -> Path:
        return self.root / "studies"

    @property
    def study_runs(self) -> Path:
        return self.studies / "runs"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    @property
    def packs(self) -> Path:
        return self.root / "packs"

    @property
    def explanations(self) -> Path:
        return self.root / "explanations"


_MARKS = "-_.+=,@() "


def checked_name(name: str) -> str:
    """Checks an artifact name given by a user: letters and digits of any script, and `_MARKS`.

    Raises:
        UserError: another character, none, or more than 200 bytes; a dot or a dash at the beginning, a space at either end.
    """
    sound = all(mark in _MARKS or unicodedata.category(mark)[0] in "LMN" for mark in name)
    if not (sound and 0 < len(name.encode(errors="replace")) <= 200) or name[0] in ".-" or name != name.strip():
        raise UserError(
            f"{name!r} cannot be an artifact's name", "use letters, digits, '-', '_' and '.', not beginning with '.' or '-'"
        )
    return name


def shard_name(name: str, index: int, count: int) -> str:
    """The name of one shard of a cache, `index` from 0."""
    return f"{name}.shard-{index:05}-of-{count:05}"


def rows_of_shard(total: int, part: tuple[int, int]) -> slice:
    """The rows of shard i of n: consecutive, so that the shards in order are all rows."""
    index, count = part
    return slice(total * index // count, total * (index + 1) // count)


def newest(paths: list[Path]) -> Path | None:
    """The most recently written path; ties are resolved by name."""
    return max(paths, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
