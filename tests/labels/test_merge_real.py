"""The two real label tables, 335,534 rows, through `cxrlt merge`: counts against pandas, and the order of the sources."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from PIL import Image

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.image_file import create_images
from cxrlt_cli.artifacts.row_access import RowWriter
from cxrlt_cli.artifacts.source_table import SourceHeader, SourceTable, write_source_table
from cxrlt_cli.preprocess.settings import PixelSettings
from cxrlt_cli.sources.chestxray14 import read_chestxray14
from cxrlt_cli.sources.chexpert import read_chexpert

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


@pytest.fixture(scope="module")
def both(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("both")
    images = tmp_path_factory.mktemp("nowhere")
    (images / "images").mkdir()
    Image.new("L", (8, 8)).save(images / "images/x.png")
    _put(workspace, read_chestxray14(images, real_data / "chestxray14/Data_Entry_2017_v2020.csv.gz").source)
    _put(workspace, read_chexpert(images, real_data / "chexpert/train.csv.gz").source)
    return workspace


def test_counts_of_every_class_and_policy(cxrlt: Run, both: Path, real_data: Path) -> None:
    nih = pd.read_csv(real_data / "chestxray14/Data_Entry_2017_v2020.csv.gz")["Finding Labels"].str.get_dummies("|")
    chexpert = pd.read_csv(real_data / "chexpert/train.csv.gz")
    for uncertain in ("positive", "negative", "ignore"):
        ended = cxrlt("merge", "--workspace", both, "--label-space", "cxr-lt-2023", "--uncertain", uncertain, "--overwrite")
        assert ended.code == 0, ended.err
        dataset = read_dataset(both / "dataset.parquet")
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


def test_rare_classes_are_shared_out_as_asked(cxrlt: Run, both: Path) -> None:
    ended = cxrlt("merge", "--workspace", both, "--source", "chestxray14", "--overwrite")
    assert ended.code == 0, ended.err
    dataset = read_dataset(both / "dataset.parquet")
    for split, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        inside = (dataset.table["split"] == split).to_numpy()
        found = dataset.targets[inside].sum(axis=0) / dataset.targets.sum(axis=0)
        assert np.abs(found - share).max() < 0.01, dict(zip(dataset.classes, found, strict=True))
        assert abs(inside.mean() - share) < 0.01


def test_the_order_of_the_sources_and_of_nothing_else_matters(cxrlt: Run, both: Path) -> None:
    tables = []
    for order in (["chexpert", "chestxray14"], ["chestxray14", "chexpert"]):
        options = [part for name in order for part in ("--source", name)]
        assert cxrlt("merge", "--workspace", both, "--label-space", "cxr-lt-2023", "--overwrite", *options).code == 0
        tables.append(read_dataset(both / "dataset.parquet").table)
    pd.testing.assert_frame_equal(*tables)
