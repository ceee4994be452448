"""The Parquet artifacts: damaged, foreign and altered ones are refused with the command that makes them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxrlt_cli.artifacts.dataset import COLUMNS, Dataset, DatasetHeader, read_dataset, write_dataset
from cxrlt_cli.artifacts.embeddings import LabelEmbeddings, read_embeddings, write_embeddings
from cxrlt_cli.artifacts.source_table import BLANK, SourceHeader, SourceTable, read_source_table, write_source_table
from cxrlt_cli.errors import UserError

CLASSES = ["Mass", "Edema"]


def _dataset(path: Path) -> Dataset:
    table = pd.DataFrame({name: ["x", "y"] for name in COLUMNS})
    table["row"], table["age"], table["split"] = [0, 1], [50.0, None], ["train", "test"]
    targets, label_mask = np.array([[1, 0], [0, 0]], np.uint8), np.array([[True, True], [True, False]])
    return Dataset(table, CLASSES, targets, label_mask, {"size": 8}, DatasetHeader(label_space="mine"), path)


def test_a_dataset_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "dataset.parquet"
    write_dataset(_dataset(path))
    found = read_dataset(path)
    assert found.classes == CLASSES
    assert found.targets.tolist() == [[1, 0], [0, 0]]
    assert found.label_mask.tolist() == [[True, True], [True, False]]
    assert found.settings == {"size": 8}
    assert found.header.label_space == "mine"
    raw = pq.read_table(path)
    assert raw["label:Edema"].to_pylist() == [0, None]
    assert raw.schema.field("label:Mass").type == pa.int8()
    assert found.split("test").table["image_id"].tolist() == ["y"]
    with pytest.raises(UserError, match="has no val split"):
        found.split("val")


def test_embeddings_come_back_by_name(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_embeddings(path, LabelEmbeddings(CLASSES, [["a"], ["b", "c"]], vectors, {"name": "x"}), {})
    found = read_embeddings(path)
    assert found.of(["Edema", "Mass"], path).tolist() == [[3, 4, 5], [0, 1, 2]]
    assert pq.read_table(path).schema.field("vector").type == pa.list_(pa.float32(), 3)
    with pytest.raises(UserError, match="no embedding for Hernia"):
        found.of(["Hernia"], path)
    vectors[0, 0] = np.nan
    write_embeddings(path, LabelEmbeddings(CLASSES, [["a"], ["b", "c"]], vectors, {"name": "x"}), {})
    with pytest.raises(UserError, match="not finite"):
        read_embeddings(path)


def test_labels_as_published_come_back(tmp_path: Path) -> None:
    table = pd.DataFrame({name: [None, None] for name in ("study_id", "view", "sex", "age", "official_split", "inverted")})
    table = table.assign(image_id=["a", "b"], patient_id=["1", "2"], file=["a.png", "b.png"], row=[0, 1])
    labels = np.array([[1, -1], [0, BLANK]], np.int8)
    write_source_table(tmp_path / "s.parquet", SourceTable("table", table, CLASSES, labels, SourceHeader(listed=2)))
    found = read_source_table(tmp_path / "s.parquet")
    assert found.labels.tolist() == labels.tolist()
    assert found.header.listed == 2
    assert pq.read_table(tmp_path / "s.parquet")["label:Edema"].to_pylist() == [-1, None]


READERS: list[Callable[[Path], object]] = [read_dataset, read_embeddings, read_source_table]


@pytest.mark.parametrize("read", READERS)
def test_what_is_not_the_artifact_is_refused(read: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_dataset(_dataset(path))
    whole = path.read_bytes()

    def foreign() -> None:
        pq.write_table(pa.table({"a": [1]}), path)

    def other_version() -> None:
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({b"cxrlt": b'{"format": "cxrlt dataset", "version": 99}'}), path)

    def other_artifact() -> None:
        header = b'{"format": "cxrlt something", "version": 1}'
        pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({b"cxrlt": header}), path)

    harms = {
        "is not there": path.unlink,
        "cannot be read as Parquet": lambda: path.write_bytes(whole[: len(whole) // 2]),
        "cannot be read as Parquet: ": lambda: path.write_bytes(b""),
        "another origin": foreign,
        "is cxrlt something": other_artifact,
    }
    if read is read_dataset:
        harms["has version 99"] = other_version
    for says, harm in harms.items():
        path.write_bytes(whole)
        harm()
        with pytest.raises(UserError, match=says) as caught:
            read(path)
        assert "cxrlt " in caught.value.hint


def test_altered_labels_and_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_dataset(_dataset(path))
    table = pq.read_table(path)
    index = table.column_names.index("label:Mass")
    pq.write_table(table.set_column(index, "label:Mass", pa.array([3, 0], pa.int8())), path)
    with pytest.raises(UserError, match="other than 1, 0 and null"):
        read_dataset(path)
    pq.write_table(table.drop_columns(["label:Edema"]), path)
    with pytest.raises(UserError, match="lacks the columns label:Edema"):
        read_dataset(path)
    pq.write_table(table.slice(0, 0), path)
    with pytest.raises(UserError, match="has no rows"):
        read_dataset(path)
