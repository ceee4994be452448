"""The shards of a row file: which there are, and a file with the rows of all."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.row_access import RowReader, RowWriter
from cxrlt_cli.artifacts.row_file import create_rows
from cxrlt_cli.artifacts.row_layout import Layout, RowFormat, read_hashes
from cxrlt_cli.console import progress
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.workspace import shard_name

_BLOCK = 64  # rows copied at a time


def names_of_shards(folder: Path, name: str, form: RowFormat) -> list[str]:
    """The names of all shards, in order. Raises UserError if there are none, or some are missing or unfinished."""
    pattern = re.compile(re.escape(name) + r"\.shard-(\d{5})-of-(\d{5})\.h5(\.part)?")
    found = [match for path in folder.glob("*.h5*") if (match := pattern.fullmatch(path.name))]
    if not found:
        raise UserError(f"{folder} has no shards of {name}", f"make them with: {form.command} --name {name} --shard i/n …")
    counts = {int(match[2]) for match in found}
    if len(counts) > 1:
        raise UserError(f"{folder} has shards of {name} of {listed(sorted(counts))} parts", "remove those that are not needed")
    (count,) = counts
    there = {int(match[1]) for match in found if not match[3]}
    unfinished = sorted({int(match[1]) for match in found} - there)
    missing = [index for index in range(count) if index not in there]
    if missing:
        started = f" ({listed(unfinished)} started, not finished)" if unfinished else ""
        raise UserError(
            f"{name}: {len(missing)} of {count} shards are missing: {listed(missing)}{started}",
            f"make them: {form.command} … --shard {missing[0]}/{count} --resume",
        )
    return [shard_name(name, index, count) for index in range(count)]


def copy_rows(path: Path, shards: list[Layout], source: dict[str, Any]) -> None:
    """Writes one file with the rows of all shards, in their order.

    Args:
        path: the file.
        shards: of one format, shape and settings.
        source: attributes of the file, as in `create_rows`.

    Raises:
        UserError: no space, a folder that cannot be written to, or a shard that was cut short.
    """
    first = shards[0]
    ids = [name for shard in shards for name in shard.ids]
    writer = RowWriter(create_rows(path, (first.format, ids, first.shape), first.settings, source))
    start = 0
    with progress("join", len(ids)) as bar:
        for shard in shards:
            reader, hashes = RowReader(shard), read_hashes(shard)
            rows = np.flatnonzero(reader.done)
            for block in np.split(rows, range(_BLOCK, len(rows), _BLOCK)):
                values = np.empty((len(block), *shard.shape), shard.format.dtype)
                reader.read_into(block, values, np.arange(len(block)))
                for row, value in zip(block, values, strict=True):
                    writer.write(start + int(row), value, hashes[row])
            writer.mark_done((start + rows).tolist())
            start += len(shard.ids)
            bar.advance(len(shard.ids))
    writer.close()
