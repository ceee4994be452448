"""Damaged and forged Parquet artifacts end in one message that names the file."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import GOLDEN, Case, Harm, Read, cases_of_any, refused_or_the_same, with_flipped_bit

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.embeddings import read_embeddings
from cxrlt_cli.artifacts.predictions import read_predictions, read_predictions_header, write_predictions
from cxrlt_cli.artifacts.source_table import read_source_table


def table(change: Callable[[pa.Table], pa.Table]) -> Harm:
    return lambda path: pq.write_table(change(pq.read_table(path)), path)


def header(change: Callable[[dict[str, Any]], object]) -> Harm:
    def forge(found: pa.Table) -> pa.Table:
        content = json.loads(found.schema.metadata[b"cxrlt"])
        change(content)
        return found.replace_schema_metadata({b"cxrlt": json.dumps(content).encode()})

    return table(forge)


def with_column(name: str, values: Callable[[int], pa.Array]) -> Harm:
    return table(lambda found: found.set_column(found.column_names.index(name), name, values(found.num_rows)))


def first_null(found: pa.Table, name: str) -> pa.Table:
    values = found[name].to_pylist()
    return found.set_column(found.column_names.index(name), name, pa.array([None, *values[1:]], pa.array(values).type))


def cases_of_table(file: str, read: Read, needed: list[str], filled: list[str], wrong: dict[str, Any]) -> Iterator[Case]:
    yield from cases_of_any(file, read)
    for value in (b"", b"{", b"[]", b"null", b"3", b"\xff", b"[" * 200_000):
        forge = table(lambda found, value=value: found.replace_schema_metadata({b"cxrlt": value}))  # type: ignore[misc]
        yield Case(file, f"header {value[:8]!r}", forge, read)
    yield Case(file, "no header", table(lambda found: found.replace_schema_metadata(None)), read)
    yield Case(file, "other format", header(lambda content: content.update(format=["cxrlt"])), read)
    yield Case(file, "other version", header(lambda content: content.update(version="1")), read)
    for key, value in wrong.items():
        yield Case(
            file, f"header {key} {value!r}", header(lambda content, key=key, value=value: content.update({key: value})), read
        )  # type: ignore[misc]
    for name in needed:
        yield Case(file, f"without {name}", table(lambda found, name=name: found.drop_columns([name])), read)  # type: ignore[misc]
    for name in filled:
        yield Case(file, f"null in {name}", table(lambda found, name=name: first_null(found, name)), read)  # type: ignore[misc]


def numbers(count: int) -> pa.Array:
    return pa.array(np.arange(count))


def words(count: int) -> pa.Array:
    return pa.array(["x"] * count)


def lists(count: int) -> pa.Array:
    return pa.array([[1.0]] * count)


SCORES, SET, LISTED, VECTORS = (
    "predictions/whole.parquet",
    "dataset.parquet",
    "images/clinic.parquet",
    "label_embeddings.parquet",
)
TABLES = [
    *cases_of_table(SCORES, read_predictions, ["image_id", "logit:Mass"], ["image_id", "logit:Mass"], {
        "classes": "Mass", "runs": "whole", "views": 0, "members": [1], "calibration": "warm", "provenance": [], "split": None,
    }),
    *(Case(SCORES, f"{name} {kind.__name__}", with_column(name, kind), read_predictions)
      for name, kind in (("image_id", numbers), ("image_id", words), ("logit:Mass", words), ("logit:Mass", lists))),
    Case(SCORES, "no rows", table(lambda found: found.slice(0, 0)), read_predictions),
    Case(SCORES, "header alone", header(lambda content: content.update(runs=7)), read_predictions_header),
    Case(SCORES, "a class twice", header(lambda content: content.update(classes=["Mass", "Mass"])), read_predictions),
    *cases_of_table(
        SET, read_dataset, ["image_id", "cache", "label:Mass"], ["image_id", "patient_id", "source", "split", "cache", "row"],
        {"classes": [["Mass"]], "settings": {}, "policies": [1], "counts": {"Mass": "1"}, "held_out": {"classes": 3},
         "provenance": {"inputs": "x"}},
    ),
    *(Case(SET, f"{name} {kind.__name__}", with_column(name, kind), read_dataset)
      for name, kind in (("image_id", numbers), ("row", words), ("split", words), ("label:Mass", words), ("age", lists))),
    Case(SET, "row below 0", with_column("row", lambda count: pa.array(-np.arange(count))), read_dataset),
    Case(SET, "size of text", header(lambda content: content["settings"].update(size="16")), read_dataset),
    *cases_of_table(LISTED, read_source_table, ["file", "label:Mass"], ["image_id", "row"], {
        "classes": None, "kind": ["table"], "listed": "60", "images_sha256": 4, "provenance": 1,
    }),
    *(Case(LISTED, f"{name} {kind.__name__}", with_column(name, kind), read_source_table)
      for name, kind in (("row", words), ("age", words), ("inverted", lists), ("label:Mass", lists))),
    *cases_of_table(VECTORS, read_embeddings, ["vector", "prompt"], ["class", "prompt", "vector"], {
        "encoder": "ngram", "provenance": [],
    }),
    *(Case(VECTORS, f"{name} {kind.__name__}", with_column(name, kind), read_embeddings)
      for name, kind in (("vector", words), ("vector", numbers), ("class", numbers), ("class", words), ("prompt", lists))),
]  # fmt: skip


@pytest.mark.parametrize("case", TABLES, ids=str)
def test_is_refused_by_name(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


def test_a_changed_bit_is_found_or_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_predictions(path, read_predictions(GOLDEN / SCORES))
    whole, before = path.read_bytes(), read_predictions(path).logits.tolist()
    end = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")  # behind it is what Parquet says of itself, without checksum
    places = range(4, end, 7)
    found = [
        refused_or_the_same(path, with_flipped_bit(whole, place), lambda path: read_predictions(path).logits.tolist(), before)
        for place in places
    ]
    assert np.mean(found) > 0.5
