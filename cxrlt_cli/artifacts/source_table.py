"""`images/NAME.parquet`: a source's own table, a row an image whose pixels are in `images/NAME.h5`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cxrlt_cli.artifacts.data_sources import PHANTOMS, DataSource
from cxrlt_cli.artifacts.parsing import ClassNames, damage_reported, parse, plain
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.tables import matrix, nullable_int8, read_table, require_columns, require_filled, write_table

FORMAT, VERSION = "cxrlt source table", 1

#: What is known of an image beside its labels; null where the source does not say. All text but `age` (years, float),
#: `inverted` (bool: the file shows dense tissue dark, and was inverted) and `row` (its row in the image file).
COLUMNS = ["image_id", "patient_id", "study_id", "view", "sex", "age", "official_split", "file", "inverted", "row"]

#: A label that the source leaves blank for an image, in `SourceTable.labels`.
BLANK = -2


@dataclass(frozen=True)
class SourceHeader:
    """How a source was cached; empty for a source that is read and not cached yet.

    Attributes:
        images: name of the image file.
        settings: how its pixels were made.
        identity: what identifies the source: its kind, hashes of its images and labels, and the shard (`resume_check`).
        listed: images that the source lists; of a shard, those of its part.
        unreadable: images that could not be decoded.
        agreement: under which the images of a user's own table were given out; empty where none was named.
        phantoms: whether the images are made up by `cxrlt demo`.
        provenance: see there.
    """

    images: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, str] = field(default_factory=dict)
    listed: int | None = None
    unreadable: int | None = None
    agreement: str = ""
    phantoms: bool = False
    provenance: Provenance = field(default_factory=Provenance)


_IDENTITY = ("kind", "images_sha256", "labels_sha256", "shard")  # in the file these are keys of the header


@dataclass(frozen=True)
class SourceTable:
    """Labels and metadata of the images of a source.

    Attributes:
        kind: the published layout it was read as (`chestxray14`, `table` …).
        table: `COLUMNS`, a row an image.
        classes: the label names as published.
        labels: (N, len(classes)) int8 as published: 1, 0, -1 (uncertain), BLANK.
        header: how it was cached.
    """

    kind: str
    table: pd.DataFrame
    classes: list[str]
    labels: np.ndarray
    header: SourceHeader = field(default_factory=SourceHeader)

    @property
    def data_source(self) -> DataSource:
        """What is carried to everything that is made from it."""
        return DataSource(PHANTOMS if self.header.phantoms else self.kind, self.header.agreement)

    def rows(self, keep: np.ndarray) -> "SourceTable":
        """The same source with only the rows of a boolean mask or of indices."""
        chosen = self.table.iloc[np.flatnonzero(keep) if keep.dtype == bool else keep].reset_index(drop=True)
        return replace(self, table=chosen, labels=self.labels[keep])


def write_source_table(path: Path, source: SourceTable) -> None:
    """Writes `images/NAME.parquet`."""
    columns = {name: pa.array(source.table[name], from_pandas=True, type=_type(name)) for name in COLUMNS}
    for index, name in enumerate(source.classes):
        values = source.labels[:, index]
        columns[f"label:{name}"] = nullable_int8(values, values != BLANK)
    header = plain(source.header)
    header |= {**header.pop("identity"), "kind": source.kind, "classes": source.classes}
    write_table(path, pa.table(columns), FORMAT, VERSION, header)


def read_source_table(path: Path) -> SourceTable:
    """Reads `images/NAME.parquet`.

    Raises:
        UserError: not there, damaged, or not such a table.
    """
    with damage_reported(path, _HINT):
        table, content = read_table(path, FORMAT, VERSION, "cxrlt cache")
        classes = parse(ClassNames, content, path, _HINT).classes
        content["identity"] = {key: content[key] for key in _IDENTITY if key in content}
        header = parse(SourceHeader, content, path, _HINT)
        kind = parse(_Kind, content, path, _HINT).kind
        labels = [f"label:{name}" for name in classes]
        require_columns(path, table, [*COLUMNS, *labels])
        require_filled(path, table, ["image_id", "row"])
        schema = pa.schema([(name, _type(name)) for name in COLUMNS])
        frame = table.select(COLUMNS).cast(schema).to_pandas()
        return SourceTable(kind, frame, classes, matrix(table, labels, BLANK), header)


_HINT = "make it again with: cxrlt cache --overwrite"


@dataclass(frozen=True)
class _Kind:
    """What the header must hold besides."""

    kind: str


def _type(name: str) -> pa.DataType:
    return {"age": pa.float32(), "inverted": pa.bool_(), "row": pa.int64()}.get(name, pa.string())
