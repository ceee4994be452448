"""What is odd about files is counted, and named once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CACHE, Run
from dicom_files import write_dicom
from PIL import Image

from cxrlt_cli.artifacts.source_table import read_source_table
from cxrlt_cli.predict.folder import read_folder
from cxrlt_cli.preprocess.decode_workers import ImageFile
from cxrlt_cli.preprocess.remarks import Remark, RemarkCounts
from cxrlt_cli.preprocess.settings import PixelSettings


def test_remarks_are_one_warning_each(capfd: pytest.CaptureFixture[str]) -> None:
    counts = RemarkCounts()
    counts.add("a.png", (Remark.NARROW_16_BIT,))
    counts.add("b.dcm", ())
    counts.add("c.dcm", (Remark.VOI_IGNORED, Remark.FEW_LEVELS))
    counts.add("d.png", (Remark.NARROW_16_BIT,))
    counts.report()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("warning: 2 images, the first a.png: a 16-bit PNG")
    assert "--window 0,100" in lines[0]
    assert lines[1].startswith("warning: 1 image, the first c.dcm: a window or VOI LUT")


def _narrow(path: Path) -> None:
    with Image.open(path) as image:
        values = np.asarray(image).astype(np.uint16)
    Image.fromarray(values * 16).save(path)


def test_a_cache_says_how_many_files_are_odd_and_lists_those_that_fail(cxrlt: Run, pictures: Path, tmp_path: Path) -> None:
    for number in (7, 4, 90):
        _narrow(pictures / f"pictures/00{number:02}.png")
    for number, tags in ((20, {"WindowCenter": 0, "WindowWidth": 1}), (21, {"RescaleSlope": 0, "RescaleIntercept": 0})):
        stored = np.arange(4000, dtype=np.uint16).reshape(80, 50)
        write_dicom(pictures / f"pictures/00{number}.png", stored, 12, **tags)
    command = [*CACHE, "--source", f"table={pictures / 'labels.csv'}", "--name", "pictures"]
    ended = cxrlt(*command)
    assert ended.code == 0, ended.err
    warnings = [line for line in ended.err.splitlines() if line.startswith("warning: ") and "the first" in line]
    assert len(warnings) == 2
    assert "warning: 3 images, the first pictures/0004.png: a 16-bit PNG" in ended.err
    assert "warning: 1 image, the first pictures/0020.png: a window or VOI LUT in the DICOM header" in ended.err
    failed = pd.read_csv(tmp_path / "images/pictures.failed.csv")
    assert failed["image_id"].tolist() == ["i0021"]
    assert "4000 gray levels all become" in failed["reason"][0]
    assert len(read_source_table(tmp_path / "images/pictures.parquet").table) == 95

    ended = cxrlt(*command, "--overwrite", "--window", "0,100")
    assert ended.code == 0, ended.err
    assert "16-bit PNG" not in ended.err


def test_a_folder_to_be_scored_says_so_too(pictures: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = [f"pictures/00{number:02}.png" for number in range(8)]
    _narrow(pictures / names[5])
    _narrow(pictures / names[6])
    files = {name: ImageFile(pictures / name) for name in names}
    batches = list(read_folder(files, PixelSettings(32), [names[:4], names[4:]], 1))
    assert [ids for ids, _, _ in batches] == [names[:4], names[4:]]
    assert "warning: 2 images, the first pictures/0005.png: a 16-bit PNG" in capfd.readouterr().err
