"""`label_embeddings.parquet`: a vector for each class, from the text that describes it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from cxrlt_cli.artifacts.parsing import damage_reported, parse
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.tables import read_table, require_columns, require_filled, texts, vectors, write_table
from cxrlt_cli.errors import UserError, listed

FORMAT, VERSION = "cxrlt label embeddings", 1


@dataclass(frozen=True)
class LabelEmbeddings:
    """Label texts and their vectors.

    Attributes:
        classes: class names.
        prompts: the texts that were encoded, one or more for each class.
        vectors: (len(classes), D) float32; of several texts, the mean of their vectors of length 1.
        encoder: name, hash and pooling of what made them, and which of prompt and description was encoded.
    """

    classes: list[str]
    prompts: list[list[str]]
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


def write_embeddings(path: Path, embeddings: LabelEmbeddings, provenance: Provenance) -> None:
    """Writes `label_embeddings.parquet`."""
    columns = {
        "class": pa.array(embeddings.classes, pa.string()),
        "prompt": pa.array([texts[0] for texts in embeddings.prompts], pa.string()),
        "more_prompts": pa.array([texts[1:] for texts in embeddings.prompts], pa.list_(pa.string())),
        "vector": vectors(embeddings.vectors),
    }
    write_table(path, pa.table(columns), FORMAT, VERSION, {"encoder": embeddings.encoder, "provenance": provenance})


def read_embeddings(path: Path) -> LabelEmbeddings:
    """Reads `label_embeddings.parquet`.

    Raises:
        UserError: not there, damaged, not embeddings, a class twice, or values that are not finite.
    """
    command = "cxrlt embed-labels --overwrite"
    hint = f"make it again with: {command}"
    with damage_reported(path, hint):
        table, header = read_table(path, FORMAT, VERSION, command)
        encoder = parse(_Saved, header, path, hint).encoder
        require_columns(path, table, ["class", "prompt", "vector"])
        require_filled(path, table, ["class", "prompt", "vector"])
        classes = texts(table["class"]).to_pylist()
        if len(set(classes)) != len(classes) or not len(classes):
            raise UserError(f"{path} has no classes, or one of them twice", hint)
        flat = table["vector"].combine_chunks().flatten().cast(pa.float32()).to_numpy(zero_copy_only=False)
        values = flat.reshape(len(classes), -1)
        if not values.size or not np.isfinite(values).all():
            raise UserError(f"{path} has vectors that are not finite", hint)
        return LabelEmbeddings(classes, _prompts(table), values, encoder)


def _prompts(table: pa.Table) -> list[list[str]]:
    """The texts of each class; before version 0.3 there was one."""
    first = texts(table["prompt"]).to_pylist()
    more = table["more_prompts"].to_pylist() if "more_prompts" in table.column_names else [[]] * len(first)
    return [[one, *map(str, others or [])] for one, others in zip(first, more, strict=True)]


@dataclass(frozen=True)
class _Saved:
    """What the header must hold."""

    encoder: dict[str, Any]
    provenance: Provenance = field(default_factory=Provenance)
