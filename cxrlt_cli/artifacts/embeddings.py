"""`label_embeddings.parquet`: a vector for each class, from the text that describes it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cxrlt_cli.artifacts.tables import read_table, require_columns, vectors, write_table
from cxrlt_cli.errors import UserError, listed

FORMAT, VERSION = "cxrlt label embeddings", 1


@dataclass(frozen=True)
class LabelEmbeddings:
    """Label texts and their vectors.

    Attributes:
        classes: class names.
        prompts: the text that was encoded, one a class.
        vectors: (len(classes), D) float32.
        encoder: name, hash and pooling of what made them.
    """

    classes: list[str]
    prompts: list[str]
    vectors: np.ndarray
    encoder: dict[str, Any]

    def of(self, classes: list[str], path: Path) -> np.ndarray:
        """(C, D) vectors of `classes`, joined by name.

        Raises:
            UserError: a class has no vector.
        """
        row = {name: index for index, name in enumerate(self.classes)}
        absent = [name for name in classes if name not in row]
        if absent:
            raise UserError(
                f"{path} has no embedding for {listed(absent)} (it has {listed(self.classes)})",
                "embed the labels of the dataset: cxrlt embed-labels --label-space dataset --overwrite",
            )
        return self.vectors[[row[name] for name in classes]]


def write_embeddings(path: Path, embeddings: LabelEmbeddings, provenance: dict[str, Any]) -> None:
    """Writes `label_embeddings.parquet`."""
    columns = {
        "class": pa.array(embeddings.classes, pa.string()),
        "prompt": pa.array(embeddings.prompts, pa.string()),
        "vector": vectors(embeddings.vectors),
    }
    write_table(path, pa.table(columns), FORMAT, VERSION, {"encoder": embeddings.encoder, "provenance": provenance})


def read_embeddings(path: Path) -> LabelEmbeddings:
    """Reads `label_embeddings.parquet`.

    Raises:
        UserError: not there, damaged, not embeddings, a class twice, or values that are not finite.
    """
    again = "cxrlt embed-labels --overwrite"
    table, header = read_table(path, FORMAT, VERSION, again)
    require_columns(path, table, ["class", "prompt", "vector"])
    classes = table["class"].to_pylist()
    column = table["vector"].combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False).reshape(len(classes), -1).astype(np.float32)
    if len(set(classes)) != len(classes) or not len(classes):
        raise UserError(f"{path} has no classes, or one of them twice", f"make it again with: {again}")
    if not np.isfinite(values).all():
        raise UserError(f"{path} has vectors that are not finite", f"make it again with: {again}")
    return LabelEmbeddings(classes, table["prompt"].to_pylist(), values, header["encoder"])
