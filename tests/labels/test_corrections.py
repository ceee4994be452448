"""`cxrlt merge --corrections`: labels that a human confirmed to be wrong are flipped, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from conftest import Run

from cxrlt_cli.artifacts.dataset import read_dataset

MERGE = ["merge", "--label-space", "classes.txt", "--split", "50,25,25", "--overwrite"]
HEADER = "image,class,given,suggested,score,rank,review\n"


def _write(folder: Path, *rows: str, name: str = "reviewed.csv") -> Path:
    path = folder / name
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_only_what_was_marked_flip_changes(cxrlt: Run, dataset: Path) -> None:
    before = read_dataset(dataset)
    _write(
        dataset.parent,
        "i0001,Effusion,0,1,0.01,1,flip",
        "i0000,Cardiomegaly,1,0,0.02,2, Flip",
        "i0003,Effusion,1,0,0.03,3,keep",
        "i0004,Cardiomegaly,1,0,0.04,4,unsure",
        "i0006,Cardiomegaly,1,0,0.05,5,",
        "i0007,Effusion,1,0,0.06,6,flip",
        "i9999,Effusion,0,1,0.07,7,flip",
        "i0008,Pneumonia,0,1,0.08,8,keep",
    )
    ended = cxrlt(*MERGE, "--corrections", "reviewed.csv")
    assert ended.code == 0, ended.err
    after = read_dataset(dataset)
    changed = [(before.table["image_id"][row], before.classes[c]) for row, c in np.argwhere(before.targets != after.targets)]
    assert sorted(changed) == [("i0000", "Cardiomegaly"), ("i0001", "Effusion")]
    assert (before.label_mask == after.label_mask).all()
    assert (before.table["split"] == after.table["split"]).all(), "the split does not depend on corrections"
    said = "reviewed.csv: 2 labels flipped (1 to 1, 1 to 0), 1 kept, 1 unsure (left as they are), 1 rows not reviewed"
    assert said in ended.err
    assert "2 rows match no image or class of the dataset: Effusion of i9999, Pneumonia of i0008" in ended.err
    assert "1 rows say another given label than the dataset has, and are left out: Effusion of i0007" in ended.err
    (record,) = after.header.corrections
    assert (record["to_1"], record["to_0"], record["unmatched"], record["other_given"]) == (1, 1, 2, 1)
    assert any(entry.path.endswith("reviewed.csv") for entry in after.header.provenance.inputs)
    assert after.header.counts["Effusion"] == before.header.counts["Effusion"] + 1
    assert "corrections of reviewed.csv" in cxrlt("info", "dataset.parquet").out


def test_unsure_labels_become_unknown_where_asked(cxrlt: Run, dataset: Path) -> None:
    _write(dataset.parent, "i0004,Cardiomegaly,1,0,0.04,1,unsure")
    assert cxrlt(*MERGE, "--corrections", "reviewed.csv", "--unsure", "unknown").code == 0
    after = read_dataset(dataset)
    unknown = np.argwhere(~after.label_mask)
    assert [(after.table["image_id"][row], after.classes[c]) for row, c in unknown] == [("i0004", "Cardiomegaly")]
    assert after.targets[~after.label_mask].sum() == 0
    ended = cxrlt(*MERGE, "--unsure", "unknown")
    assert (ended.code, "--unsure needs --corrections" in ended.err) == (2, True)


def test_files_are_applied_one_after_the_other(cxrlt: Run, dataset: Path) -> None:
    """A second round reviews the labels that the first one left."""
    before = read_dataset(dataset)
    _write(dataset.parent, "i0001,Effusion,0,1,0.1,1,flip", "i0002,Hernia,0,1,0.1,2,flip", name="one.csv")
    _write(dataset.parent, "i0001,Effusion,1,0,0.1,1,flip", name="two.csv")
    ended = cxrlt(*MERGE, "--corrections", "one.csv", "--corrections", "two.csv")
    assert ended.code == 0, ended.err
    after = read_dataset(dataset)
    changed = np.argwhere(before.targets != after.targets)
    assert [(before.table["image_id"][row], before.classes[c]) for row, c in changed] == [("i0002", "Hernia")]
    assert len(after.header.corrections) == 2


def test_corrections_of_evaluation_images_are_warned_of(cxrlt: Run, dataset: Path) -> None:
    before = read_dataset(dataset)
    for split, warned in (("train", False), ("test", True)):
        row = int(np.flatnonzero((before.table["split"] == split) & (before.targets[:, 2] == 0))[0])
        _write(dataset.parent, f"{before.table['image_id'][row]},Hernia,0,1,0.1,1,flip")
        ended = cxrlt(*MERGE, "--corrections", "reviewed.csv")
        assert ended.code == 0, ended.err
        assert ("favour the network" in ended.err) == warned


def test_a_corrected_finding_implies_its_parent(cxrlt: Run, dataset: Path) -> None:
    space = dataset.parent / "classes.txt"
    space.write_text("Cardiomegaly\nEnlarged Cardiomediastinum\nEffusion\nHernia\n")
    merge = [*MERGE, "--hierarchy", "--missing-eval", "absent"]
    assert cxrlt(*merge).code == 0
    before = read_dataset(dataset)
    _write(dataset.parent, "i0001,Cardiomegaly,0,1,0.1,1,flip", "i0000,Enlarged Cardiomediastinum,1,0,0.1,2,flip")
    ended = cxrlt(*merge, "--corrections", "reviewed.csv")
    assert ended.code == 0, ended.err
    after = read_dataset(dataset)
    assert (after.targets[:, 1] >= after.targets[:, 0]).all()
    row = int(np.flatnonzero(before.table["image_id"] == "i0001")[0])
    assert before.targets[row].tolist()[:2] == [0, 0]
    assert after.targets[row].tolist()[:2] == [1, 1]
    assert "hierarchy: 2 labels are 1 because a corrected finding is a kind of theirs" in ended.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER + "i0001,Effusion,0,1,0.1,1,yes\n", "row 2: review is 'yes'"),
        (HEADER + "i0001,Effusion,0,0,0.1,1,flip\n", "row 2: given is '0', suggested '0'"),
        (HEADER + "i0001,Effusion,0,1,0.1,1,flip\ni0001,Effusion,0,1,0.1,2,keep\n", "has Effusion of i0001 twice"),
        (HEADER + "i0001,Effusion,0,1,0.1,1,\n", "no row of reviewed.csv is reviewed"),
        (HEADER + "i9999,Effusion,0,1,0.1,1,flip\n", "matches no label of the dataset: Effusion of i9999"),
        (HEADER + "i0001,Effusion,0\n", "row 2: 3 cells where the header has 7"),
        ("image,class,given,suggested\n", "lacks the columns review"),
        ("", "lacks the columns image"),
        (None, "cannot read reviewed.csv"),
    ],
)
def test_bad_files_change_nothing(text: str | None, says: str, cxrlt: Run, dataset: Path) -> None:
    before = dataset.read_bytes()
    if text is not None:
        (dataset.parent / "reviewed.csv").write_text(text)
    ended = cxrlt(*MERGE, "--corrections", "reviewed.csv")
    assert ended.code == 2
    assert says in ended.err
    assert dataset.read_bytes() == before
