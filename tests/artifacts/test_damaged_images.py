"""Damaged and forged image files end in one message that names the file; links to other files are never followed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from damage import GOLDEN, Case, Harm, cases_of_any

from cxrlt_cli.artifacts.image_file import read_attributes, read_layout

SHARD, JOINED = "images/clinic.shard-00000-of-00002.h5", "images/clinic.h5"


def edited(change: Callable[[h5py.File], object]) -> Harm:
    def harm(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return harm


def replaced(name: str, values: Any, **options: Any) -> Harm:
    def change(file: h5py.File) -> None:
        del file[name]
        if values is not None:
            file.create_dataset(name, data=values, **options)

    return edited(change)


def linked(name: str, link: Any) -> Harm:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = link

    return edited(change)


def pointed(name: str, sources: list[tuple[str, str, slice]]) -> Harm:
    """`/images` as a virtual dataset over some (file, dataset, rows)."""

    def change(file: h5py.File) -> None:
        shape, kind = file[name].shape, file[name].dtype
        layout = h5py.VirtualLayout(shape, kind)
        for other, dataset, rows in sources:
            layout[rows] = h5py.VirtualSource(other, dataset, shape=(rows.stop - rows.start, *shape[1:]))
        del file[name]
        file.create_virtual_dataset(name, layout)

    return edited(change)


FIRST, SECOND = "clinic.shard-00000-of-00002.h5", "clinic.shard-00001-of-00002.h5"
TOP, BOTTOM = slice(0, 30), slice(30, 60)
GRAY = np.zeros((30, 16, 16), np.uint8)
HARMS: dict[str, tuple[str, Harm]] = {
    "format of another": (SHARD, edited(lambda file: file.attrs.update(format="x"))),
    "version a list": (SHARD, edited(lambda file: file.attrs.update(version=[2, 2]))),
    "version 99": (SHARD, edited(lambda file: file.attrs.update(version=99))),
    "settings a list": (SHARD, edited(lambda file: file.attrs.update({"settings.fit": [1, 2]}))),
    "settings of bytes": (SHARD, edited(lambda file: file.attrs.update({"settings.fit": np.bytes_(b"\xff")}))),
    "size of another": (SHARD, edited(lambda file: file.attrs.update({"settings.size": 32}))),
    "size of text": (SHARD, edited(lambda file: file.attrs.update({"settings.size": "16"}))),
    "no images": (SHARD, replaced("images", None)),
    "no ids": (SHARD, replaced("id", None)),
    "images a group": (SHARD, linked("images", h5py.SoftLink("/"))),
    "images of another shape": (SHARD, replaced("images", GRAY[:, :8])),
    "images without an axis": (SHARD, replaced("images", GRAY[0])),
    "images of another type": (SHARD, replaced("images", GRAY.astype(np.float32))),
    "images compressed": (SHARD, replaced("images", GRAY, compression="gzip")),
    "one image fewer": (SHARD, replaced("images", GRAY[1:])),
    "done of another type": (SHARD, replaced("done", np.ones(30, np.int64))),
    "done in chunks": (SHARD, replaced("done", np.ones(30, np.uint8), chunks=(10,))),
    "hash too narrow": (SHARD, replaced("hash", np.zeros((30, 4), np.uint64))),
    "hash with the other byte order": (SHARD, replaced("hash", np.zeros((30, 5), ">u8"))),
    "ids of numbers": (SHARD, replaced("id", np.arange(30))),
    "ids of any length": (SHARD, replaced("id", ["x"] * 30, dtype=h5py.string_dtype())),
    "ids not UTF-8": (SHARD, replaced("id", np.array([b"\xff%d" % n for n in range(30)]))),
    "an id twice": (SHARD, replaced("id", np.array([b"x"] * 30))),
    "done a soft link": (SHARD, linked("done", h5py.SoftLink("/hash"))),
    "done a soft link to nothing": (SHARD, linked("done", h5py.SoftLink("/nothing"))),
    "done an external link": (SHARD, linked("done", h5py.ExternalLink(SECOND, "/done"))),
    "hash an external link": (SHARD, linked("hash", h5py.ExternalLink(SECOND, "/hash"))),
    "id an external link": (SHARD, linked("id", h5py.ExternalLink(SECOND, "/id"))),
    "images an external link": (SHARD, linked("images", h5py.ExternalLink(SECOND, "/images"))),
    "images in a file of bytes": (SHARD, replaced("images", GRAY, external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])),
    "done a virtual dataset": (SHARD, pointed("done", [(SECOND, "done", TOP)])),
    "images of itself": (SHARD, pointed("images", [(FIRST, "images", TOP)])),
    "images of this file": (SHARD, pointed("images", [(".", "images", TOP)])),
    "images of another folder": (JOINED, pointed("images", [("../images/" + FIRST, "images", TOP)])),
    "images of an absolute path": (JOINED, pointed("images", [(str(GOLDEN / SHARD), "images", TOP)])),
    "another dataset of a shard": (JOINED, pointed("images", [(FIRST, "hash", TOP), (SECOND, "images", BOTTOM)])),
    "a shard twice": (JOINED, pointed("images", [(FIRST, "images", TOP), (FIRST, "images", BOTTOM)])),
    "shards in another order": (JOINED, pointed("images", [(SECOND, "images", TOP), (FIRST, "images", BOTTOM)])),
    "a shard missing": (JOINED, pointed("images", [(FIRST, "images", TOP)])),
    "a shard that is not there": (JOINED, pointed("images", [("none.h5", "images", slice(0, 60))])),
}  # fmt: skip
IMAGES = [
    *cases_of_any(SHARD, read_layout),
    *(Case(file, name, harm, read_layout) for name, (file, harm) in HARMS.items()),
    Case(SHARD, "an attribute that is a list", edited(lambda file: file.attrs.update({"source.kind": [1]})),
         lambda path: read_attributes(path, "source")),
]  # fmt: skip


@pytest.mark.parametrize("case", IMAGES, ids=str)
def test_is_refused_by_name(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
