"""Parquet tables with a checked header: format, version and the fields of the artifact, as JSON."""

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cxrlt_cli.artifacts.files import refuse_irregular_file, replacing
from cxrlt_cli.artifacts.parsing import as_json, damage_reported
from cxrlt_cli.errors import UserError, listed, reason
from cxrlt_cli.paths import exists, is_file

_KEY = b"cxrlt"


def write_table(path: Path, table: pa.Table, format: str, version: int, header: dict[str, Any]) -> None:
    """Writes a table with its header; the file appears when it is whole.

    Raises:
        UserError: the folder cannot be written to, or is full.
    """
    text = json.dumps({"format": format, "version": version, **as_json(header)}, sort_keys=True)
    with replacing(path) as aside:
        few = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]  # other columns gain nothing by it
        table = table.replace_schema_metadata({_KEY: text.encode()})
        pq.write_table(table, aside, compression="zstd", use_dictionary=few, write_statistics=False, write_page_checksum=True)


def read_header(path: Path, format: str, version: int, made_by: str) -> dict[str, Any]:
    """The header alone. Raises UserError as `read_table` does."""
    return _header(path, pq.read_schema, format, version, made_by)[1]


def read_table(path: Path, format: str, version: int, made_by: str) -> tuple[pa.Table, dict[str, Any]]:
    """Reads a table that `write_table` wrote.

    Args:
        path: the Parquet file.
        format: required value of `format` in its header.
        version: the version that this code reads.
        made_by: the command that makes such a file, for the hint.

    Raises:
        UserError: not there, not readable, not Parquet, cut short, altered (version 0.2.0 wrote no checksums), of another
            format or version.
    """
    table, header = _header(path, partial(pq.read_table, page_checksum_verification=True), format, version, made_by)
    return table, header


def read_any_header(path: Path) -> dict[str, Any]:
    """The header of any of our tables; empty for a Parquet file of another origin. Raises UserError where it is damaged."""
    with damage_reported(path, "make it again"):
        return _json(pq.read_schema(path))


def refuse_other_table(path: Path, format: str) -> None:
    """Raises UserError where a file that is to be overwritten is not of the same kind: it was named by mistake."""
    if not exists(path):
        return
    refuse_irregular_file(path)
    try:
        found = read_any_header(path).get("format")
    except UserError:
        found = None
    if found != format:
        raise UserError(f"{path} is {found or 'a file of another origin'}, not {format}: not replaced", "name another file")


def _header(path: Path, read: Any, format: str, version: int, made_by: str) -> tuple[Any, dict[str, Any]]:
    hint = f"make it with: {made_by}"
    if not is_file(path):
        raise UserError(f"{path} is not there", hint.removesuffix(" --overwrite"))
    with damage_reported(path, hint):
        try:
            content = read(path)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path} cannot be read as Parquet: {reason(error)}", hint) from error
        header = _json(content if isinstance(content, pa.Schema) else content.schema)
    if header.get("format") != format:
        raise UserError(f"{path} is {header.get('format', 'a Parquet file of another origin')}, not {format}", hint)
    if header.get("version") != version:
        raise UserError(f"{path} has version {header.get('version')} of its format, this cxrlt reads {version}", hint)
    return content, header


def _json(schema: pa.Schema) -> dict[str, Any]:
    """The header in the metadata of a schema. Raises ValueError if it is not a JSON object."""
    header = json.loads((schema.metadata or {}).get(_KEY, b"{}"))
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    return header


def require_columns(path: Path, table: pa.Table, names: list[str]) -> None:
    """Raises UserError where a table lacks columns that its format promises, or has one of them twice."""
    counts = Counter(table.column_names)  # read once: it is made of the schema at each access
    absent = [name for name in names if counts[name] != 1]
    if absent:
        raise UserError(f"{path} lacks the columns {listed(absent)}", "it was altered after it was written: make it again")


def require_filled(path: Path, table: pa.Table, names: list[str]) -> None:
    """Raises UserError where a column that each row needs has empty cells."""
    for name in names:
        count = table[name].null_count
        if count:
            raise UserError(
                f"{path} is damaged: {name} is empty in {count} of {table.num_rows} rows",
                "it was altered after it was written: make it again",
            )


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of text, also where its values are numbered. Raises ArrowTypeError where it is something else."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if kind not in (pa.string(), pa.large_string()):
        raise pa.ArrowTypeError(f"a column is {column.type}, not text")
    return column.cast(pa.string())


def vectors(values: np.ndarray) -> pa.Array:
    """(N, D) float32 as a fixed_size_list<float32>[D] column."""
    flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def nullable_int8(values: np.ndarray, label_mask: np.ndarray) -> pa.Array:
    """(N,) integers as an int8 column, null where `label_mask` is false."""
    return pa.array(values.astype(np.int8), mask=~label_mask)


def from_nullable_int8(column: pa.ChunkedArray, fill: int) -> np.ndarray:
    """An int8 column as (N,) int8, nulls being `fill`."""
    filled: np.ndarray = column.cast(pa.int8()).fill_null(fill).to_numpy()
    return filled


def matrix(table: pa.Table, names: list[str], fill: int) -> np.ndarray:
    """(N, len(names)) int8 of nullable columns, nulls being `fill`."""
    out = np.empty((table.num_rows, len(names)), dtype=np.int8)
    for column, name in enumerate(names):
        out[:, column] = from_nullable_int8(table[name], fill)
    return out
