"""`cxrlt cache --shard` and `cxrlt join` as commands: an array of jobs leaves what one job would have left."""

import csv
import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import CACHE, Run, classes_file, start

from cxrlt_cli.artifacts.image_pixels import ImageReader
from cxrlt_cli.artifacts.source_table import read_source_table


def _cache(folder: Path, *more: object) -> list[object]:
    return [*CACHE, "--source", f"table={folder / 'labels.csv'}", "--name", "pictures", *more]


@pytest.fixture
def sharded(cxrlt: Run, pictures: Path, tmp_path: Path) -> Path:
    """The folder of images, with three shards of a source whose image 5 is damaged."""
    (pictures / "pictures/0005.png").write_bytes(b"no picture")
    for index in range(3):
        ended = cxrlt(*_cache(pictures, "--shard", f"{index}/3"))
        assert ended.code == 0, ended.err
    return tmp_path / "images"


def _whole(cxrlt: Run, pictures: Path, workspace: Path) -> Path:
    ended = cxrlt(*_cache(pictures), "--workspace", workspace)
    assert ended.code == 0, ended.err
    return workspace / "images"


def test_a_joined_copy_has_the_bytes_of_an_undivided_cache(cxrlt: Run, pictures: Path, sharded: Path, tmp_path: Path) -> None:
    ended = cxrlt("join", "pictures", "--copy")
    assert ended.code == 0, ended.err
    whole = _whole(cxrlt, pictures, tmp_path / "whole")
    assert (sharded / "pictures.h5").read_bytes() == (whole / "pictures.h5").read_bytes()
    assert (sharded / "pictures.failed.csv").read_bytes() == (whole / "pictures.failed.csv").read_bytes()
    found, expected = (read_source_table(folder / "pictures.parquet") for folder in (sharded, whole))
    pd.testing.assert_frame_equal(found.table, expected.table)
    assert (found.labels == expected.labels).all()
    parts = [read_source_table(sharded / f"pictures.shard-{index:05}-of-00003.parquet").header.listed for index in range(3)]
    assert (found.header.listed, expected.header.listed, parts) == (96, 96, [32, 32, 32])
    for path in sharded.glob("*.shard-*"):
        path.unlink()
    assert len(ImageReader(sharded / "pictures.h5").read(np.arange(5))) == 5


def test_one_shard_is_joined(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    assert cxrlt(*_cache(pictures, "--shard", "0/1")).code == 0
    ended = cxrlt("join", "pictures", "--copy")
    assert ended.code == 0, ended.err
    whole = _whole(cxrlt, pictures, tmp_path / "whole")
    assert (tmp_path / "images/pictures.h5").read_bytes() == (whole / "pictures.h5").read_bytes()


def test_a_joined_file_shows_the_pixels_to_every_reader(cxrlt: Run, pictures: Path, sharded: Path, tmp_path: Path) -> None:
    ended = cxrlt("join", "pictures")
    assert ended.code == 0, ended.err
    assert (sharded / "pictures.h5").stat().st_size < 96 * 32 * 32 / 2
    whole = ImageReader(_whole(cxrlt, pictures, tmp_path / "whole") / "pictures.h5")
    rows = np.random.default_rng(0).permutation(np.flatnonzero(whole.done))
    joined = ImageReader(sharded / "pictures.h5")
    assert (joined.done == whole.done).all()
    assert (joined.read(rows) == whole.read(rows)).all()
    with h5py.File(sharded / "pictures.h5") as file:
        assert (file["images"][:][whole.done] == whole.read(np.flatnonzero(whole.done))).all()
    ended = cxrlt("merge", "--label-space", classes_file(tmp_path))
    assert ended.code == 0, ended.err
    assert len(pd.read_parquet(tmp_path / "dataset.parquet")) == 95


def test_a_moved_or_foreign_shard_is_named_and_never_read_as_black(cxrlt: Run, sharded: Path, tmp_path: Path) -> None:
    assert cxrlt("join", "pictures").code == 0
    second = sharded / "pictures.shard-00001-of-00003.h5"
    second.rename(tmp_path / "elsewhere.h5")
    with h5py.File(sharded / "pictures.h5") as file:
        assert not file["images"][40].any()  # what HDF5 itself makes of it
    ended = cxrlt("merge", "--label-space", classes_file(tmp_path))
    assert ended.code == 2
    assert second.name in ended.err
    assert "cxrlt join" in ended.err
    shutil.copy(sharded / "pictures.shard-00000-of-00003.h5", second)
    ended = cxrlt("merge", "--label-space", classes_file(tmp_path))
    assert ended.code == 2
    assert "is not the shard" in ended.err


def test_missing_and_unfinished_shards_are_named(cxrlt: Run, sharded: Path) -> None:
    first = sharded / "pictures.shard-00000-of-00003.h5"
    first.rename(first.with_name(f"{first.name}.part"))
    (sharded / "pictures.shard-00002-of-00003.h5").unlink()
    ended = cxrlt("join", "pictures")
    assert ended.code == 2
    assert "2 of 3 shards are missing: 0, 2 (0 started, not finished)" in ended.err
    assert "--shard 0/3 --resume" in ended.err
    assert not (sharded / "pictures.h5").exists()


def test_shards_of_other_pixels_or_other_tables_are_not_joined(cxrlt: Run, pictures: Path, sharded: Path) -> None:
    assert cxrlt(*_cache(pictures, "--shard", "2/3", "--overwrite", "--window", "1,99")).code == 0
    ended = cxrlt("join", "pictures")
    assert ended.code == 2
    assert "--window '' there, '1,99' here" in ended.err
    table = pd.read_csv(pictures / "labels.csv")
    table.loc[3, "Hernia"] = 1 - table.loc[3, "Hernia"]
    table.to_csv(pictures / "labels.csv", index=False)
    assert cxrlt(*_cache(pictures, "--shard", "2/3", "--overwrite")).code == 0
    ended = cxrlt("join", "pictures")
    assert ended.code == 2
    assert "the labels or patients changed" in ended.err


SHARD = "pictures.shard-{:05}-of-00003"


def _altered(folder: Path, index: int, alter: Callable[[pa.Table], pa.Table]) -> None:
    path = folder / f"{SHARD.format(index)}.parquet"
    pq.write_table(alter(pq.read_table(path)), path)


def _twice(folder: Path) -> None:
    for suffix in ("h5", "parquet"):
        shutil.copy(folder / f"{SHARD.format(0)}.{suffix}", folder / f"{SHARD.format(1)}.{suffix}")


def _tables_exchanged(folder: Path) -> None:
    first, second = (folder / f"{SHARD.format(index)}.parquet" for index in (0, 1))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def _other_columns(table: pa.Table) -> pa.Table:
    about = json.loads(table.schema.metadata[b"cxrlt"])
    about["classes"] = ["Mass", *about["classes"][1:]]
    names = [f"label:{about['classes'][0]}" if name == "label:Cardiomegaly" else name for name in table.column_names]
    return table.rename_columns(names).replace_schema_metadata({b"cxrlt": json.dumps(about).encode()})


@pytest.mark.parametrize(
    ("alter", "says"),
    [
        (_twice, "as its name says"),
        (_tables_exchanged, "is not the table of"),
        (
            lambda folder: _altered(folder, 1, lambda table: table.take(list(range(len(table)))[::-1])),
            "in their order (32 rows, 32",
        ),
        (lambda folder: _altered(folder, 2, lambda table: table.slice(0, 9)), "in their order (9 rows, 32"),
        (lambda folder: _altered(folder, 1, _other_columns), "differ in their label columns: Cardiomegaly, Mass"),
    ],
    ids=["a shard twice", "tables exchanged", "rows reversed", "table cut", "other label columns"],
)
@pytest.mark.parametrize("more", [[], ["--copy"]], ids=["", "copy"])
def test_shards_that_do_not_go_together_are_refused_and_leave_nothing(
    alter: Callable[[Path], None], says: str, more: list[str], cxrlt: Run, sharded: Path
) -> None:
    alter(sharded)
    before = {path.name: path.read_bytes() for path in sharded.iterdir()}
    ended = cxrlt("join", "pictures", *more)
    assert ended.code == 2
    assert says in ended.err
    assert {path.name: path.read_bytes() for path in sharded.iterdir()} == before


def test_a_join_that_cannot_write_its_table_leaves_the_old_one(
    cxrlt: Run, sharded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cxrlt("join", "pictures").code == 0
    before = {path.name: path.read_bytes() for path in sharded.iterdir()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("write_source_table", "write_failures"):
        with monkeypatch.context() as patch:
            patch.setattr(f"cxrlt_cli.preprocess.join.{name}", full)
            ended = cxrlt("join", "pictures", "--copy", "--overwrite")
        assert ended.code == 2
        assert "No space left" in ended.err
        assert {path.name: path.read_bytes() for path in sharded.iterdir()} == before


def test_unjoined_shards_are_not_merged_silently(cxrlt: Run, sharded: Path, tmp_path: Path) -> None:
    ended = cxrlt("merge", "--label-space", classes_file(tmp_path))
    assert ended.code == 2
    assert "cxrlt join" in ended.err


def test_more_shards_than_images_that_are_there(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    """A part of a dataset on disk: shards without any image are empty, and join all the same."""
    for path in sorted((pictures / "pictures").iterdir())[:-20]:
        path.unlink()
    for index in range(4):
        ended = cxrlt(*_cache(pictures, "--shard", f"{index}/4", "--allow-missing"))
        assert ended.code == 0, ended.err
    for copy in ([], ["--copy", "--overwrite"]):
        ended = cxrlt("join", "pictures", *copy)
        assert ended.code == 0, ended.err
        assert len(ImageReader(tmp_path / "images/pictures.h5").read(np.arange(20))) == 20
    with (tmp_path / "images/pictures.failed.csv").open() as file:
        assert [row["reason"] for row in csv.DictReader(file)] == ["missing"] * 76


@pytest.mark.parametrize("shard", ["3/3", "-1/3", "1", "a/b", "0/0", "slurm"])
def test_a_shard_that_is_none_is_refused(shard: str, cxrlt: Run, pictures: Path) -> None:
    ended = cxrlt(*_cache(pictures, "--shard", shard))
    assert ended.code == 2
    assert "--shard" in ended.err


def test_the_shard_of_a_slurm_array(cxrlt: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ID", "7"), ("MIN", "5"), ("COUNT", "4")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert cxrlt(*_cache(pictures, "--shard", "slurm")).code == 0
    assert (tmp_path / "images/pictures.shard-00002-of-00004.h5").exists()


def test_two_jobs_on_one_shard_do_not_destroy_each_others_work(pictures: Path, tmp_path: Path) -> None:
    jobs = [start(*_cache(pictures, "--shard", "0/2"), cwd=tmp_path) for _ in range(3)]
    ends = [job.communicate(timeout=60)[1] for job in jobs]
    codes = sorted(job.returncode for job in jobs)
    assert codes[0] == 0, ends
    assert set(codes) <= {0, 2}, ends
    reader = ImageReader(tmp_path / "images/pictures.shard-00000-of-00002.h5")
    assert reader.done.all()
    assert reader.read(np.arange(48)).std() > 10
