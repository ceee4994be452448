"""The two real label tables, 335,534 rows, through `cxrlt merge`: counts against pandas, and the order of the sources."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from shared import made_once

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.image_file import create_images
from cxrlt_cli.artifacts.row_access import RowWriter
from cxrlt_cli.artifacts.source_table import SourceHeader, SourceTable, write_source_table
from cxrlt_cli.preprocess.settings import PixelSettings

SIZE = 8  # px


def _put(workspace: Path, source: SourceTable) -> None:
    """A cached source whose images are black: their files are not here, its table is the real one."""
    ids = source.table["image_id"].tolist()
    identity = {"kind": source.kind, "images_sha256": "", "labels_sha256": ""}
    path = workspace / f"images/{source.kind}.h5"
    writer = RowWriter(create_images(path, ids, SIZE, PixelSettings(SIZE).saved(), identity))
    hashes = np.random.default_rng(len(ids)).integers(0, 1 << 63, (len(ids), 5), dtype=np.uint64)
    with path.open("r+b") as file:  # all at once: a third of a million images
        file.seek(writer.layout.hashes)
        file.write(hashes.tobytes())
    writer.mark_done(list(range(len(ids))))
    writer.close()
    source.table["row"] = np.arange(len(ids))
    header = SourceHeader(identity=identity, listed=len(ids), unreadable=0)
    write_source_table(path.with_suffix(".parquet"), replace(source, header=header))


@pytest.fixture
def both(real_sources: dict[str, SourceTable], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the two sources cached: tests write to other folders."""

    def make(folder: Path) -> None:
        (folder / "images").mkdir()
        for source in real_sources.values():
            _put(folder, source)

    return made_once(tmp_path_factory, "merge_real", make)


def _merge(cxrlt: Run, workspace: Path, output: Path, *options: object) -> Dataset:
    ended = cxrlt("merge", "--workspace", workspace, "--output", output, *options)
    assert ended.code == 0, ended.err
    return read_dataset(output)


def test_counts_of_every_class_and_policy_and_the_order_of_the_sources_does_not_matter(
    cxrlt: Run, both: Path, real_data: Path, tmp_path: Path
) -> None:
    nih = pd.read_csv(real_data / "chestxray14/Data_Entry_2017_v2020.csv.gz")["Finding Labels"].str.get_dummies("|")
    chexpert = pd.read_csv(real_data / "chexpert/train.csv.gz")
    for uncertain in ("positive", "negative", "ignore"):
        same = "keep" if uncertain != "ignore" else "refuse"  # no two pictures are the same: to look for them once is enough
        options = ["--label-space", "cxr-lt-2023", "--uncertain", uncertain, "--same-picture", same]
        dataset = _merge(cxrlt, both, tmp_path / f"{uncertain}.parquet", *options)
        assert len(dataset.table) == 112_120 + 223_414
        evaluated = dataset.table.loc[dataset.table["split"] != "train", "source"].value_counts()
        for index, name in enumerate(dataset.classes):
            there = {"Pleural Effusion": "Effusion", "Pleural Thickening": "Pleural_Thickening"}.get(name, name)
            positives = int(nih[there].sum()) if there in nih else 0
            unknown = 0 if there in nih else int(evaluated["chestxray14"])  # what a source lacks is unknown in val and test
            unknown += 0 if name in chexpert else int(evaluated["chexpert"])
            if name in chexpert:
                positives += int((chexpert[name] == 1).sum())
                unsure = int((chexpert[name] == -1).sum())
                positives += unsure if uncertain == "positive" else 0
                unknown += unsure if uncertain == "ignore" else 0
            assert dataset.targets[:, index].sum(dtype=int) == positives, name
            assert (~dataset.label_mask[:, index]).sum() == unknown, name
    per_patient = dataset.table.groupby("patient_id")["split"].nunique()
    assert (per_patient == 1).all()
    order = ["--source", "chexpert", "--source", "chestxray14"]  # by name, chestxray14 is the first
    other = _merge(cxrlt, both, tmp_path / "other.parquet", *options, *order)
    pd.testing.assert_frame_equal(other.table, dataset.table)
    assert np.array_equal(other.targets, dataset.targets)


def test_rare_classes_are_shared_out_as_asked(cxrlt: Run, both: Path, tmp_path: Path) -> None:
    dataset = _merge(cxrlt, both, tmp_path / "nih.parquet", "--source", "chestxray14")
    for split, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        inside = (dataset.table["split"] == split).to_numpy()
        found = dataset.targets[inside].sum(axis=0) / dataset.targets.sum(axis=0)
        assert np.abs(found - share).max() < 0.01, dict(zip(dataset.classes, found, strict=True))
        assert abs(inside.mean() - share) < 0.01
