"""`cxrlt merge` as a command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CACHE, Run, type_in, write_pictures
from shared import copied, made_once

from cxrlt_cli.artifacts.dataset import read_dataset, write_dataset
from cxrlt_cli.artifacts.image_pixels import ImageReader


def _cache(cxrlt: Run, folder: Path, name: str, *more: object) -> None:
    ended = cxrlt(*CACHE, "--source", f"table={folder / 'labels.csv'}", "--name", name, *more)
    assert ended.code == 0, ended.err


def _make_two(folder: Path) -> None:
    write_pictures(folder / "a", 64, seed=1)
    write_pictures(folder / "b", 40, seed=2)
    table = pd.read_csv(folder / "b/labels.csv").rename(columns={"Effusion": "Pleural Effusion"})
    table["image_id"] = "b" + table["image_id"]
    table.drop(columns="Hernia").to_csv(folder / "b/labels.csv", index=False)
    commands = [
        [*CACHE, "--source", f"table={folder / 'a/labels.csv'}", "--name", "a"],
        [
            *CACHE,
            "--source",
            f"table={folder / 'b/labels.csv'}",
            "--name",
            "b",
            "--label-columns",
            "Cardiomegaly,Pleural Effusion",
        ],
    ]
    type_in(folder, commands)


@pytest.fixture
def two(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cached sources, the second with other ids and without Hernia."""
    return copied(made_once(tmp_path_factory, "two_sources", _make_two) / "images", tmp_path / "images").parent


def test_two_sources_in_one_label_space(cxrlt: Run, two: Path) -> None:
    ended = cxrlt("merge", "--label-space", "chestxray14")
    assert ended.code == 0, ended.err
    row = next(line.split() for line in ended.out.splitlines() if line.startswith("Pleural Effusion"))
    assert row == ["Pleural", "Effusion", "Effusion", "14", "26", "0", "0"], "label, class, 1, 0, -1, blank"
    dataset = read_dataset(two / "dataset.parquet")
    assert len(dataset.classes) == 14
    assert len(dataset.table) == 104
    training = (dataset.table["split"] == "train").to_numpy()
    assert dataset.label_mask[training].all(), "missing labels are absent, as in the paper"
    effusion, hernia = dataset.classes.index("Effusion"), dataset.classes.index("Hernia")
    of_b = (dataset.table["source"] == "b").to_numpy()
    assert dataset.targets[of_b, effusion].sum() == 14
    assert dataset.targets[of_b, hernia].sum() == 0 < dataset.targets[~of_b, hernia].sum()
    per_patient = dataset.table.groupby("patient_id")["split"].nunique()
    assert (per_patient == 1).all()
    assert len(per_patient) == 32 + 20, "patients of two tables are not the same by having the same number"
    for name, rows in dataset.table.groupby("cache"):
        reader = ImageReader(two / str(name))
        assert [reader.layout.ids[row] for row in rows["row"]] == rows["image_id"].tolist()
    assert dataset.header.provenance.inputs[0].path.endswith("a.parquet")


@pytest.mark.parametrize(
    ("options", "in_training", "in_evaluation", "says"),
    [
        ([], True, False, "are 0 in training, unknown in validation and test, out of all metrics (--missing-eval absent"),
        (["--missing-eval", "absent"], True, True, "are 0 in training, 0 in validation and test, where metrics count them"),
        (["--missing", "ignore"], False, False, "are unknown in training, unknown in validation and test"),
        (["--missing", "b=ignore", "--missing-eval", "b=absent"], False, True, "are unknown in training, 0 in validation"),
    ],
)
def test_labels_that_a_source_lacks(
    options: list[str], in_training: bool, in_evaluation: bool, says: str, cxrlt: Run, two: Path
) -> None:
    ended = cxrlt("merge", "--label-space", "cxr-lt-2023", *options)
    assert ended.code == 0, ended.err
    assert f"b: 24 classes that it does not label {says}" in ended.err
    dataset = read_dataset(two / "dataset.parquet")
    of_b, training = (dataset.table["source"] == "b").to_numpy(), (dataset.table["split"] == "train").to_numpy()
    labelled = [dataset.classes.index(name) for name in ("Cardiomegaly", "Pleural Effusion")]
    lacking = np.setdiff1d(np.arange(26), labelled)
    assert (dataset.label_mask[np.ix_(of_b & training, lacking)] == in_training).all()
    assert (dataset.label_mask[np.ix_(of_b & ~training, lacking)] == in_evaluation).all()
    assert dataset.label_mask[:, labelled].all()
    assert not dataset.targets[~dataset.label_mask].any()
    recorded = dataset.header.policies["b"]["missing"]
    assert recorded["evaluation"] == ("absent" if in_evaluation else "ignore")
    shown = next(line.split() for line in reversed(ended.out.splitlines()) if line.startswith("Hernia  "))
    column = dataset.label_mask[:, dataset.classes.index("Hernia")]
    assert shown[4:] == [f"{1 - column[dataset.table['split'] == name].mean():.1%}" for name in ("train", "val", "test")]
    assert cxrlt("info", "dataset.parquet").code == 0


def test_what_the_hierarchy_implies_is_no_label_of_validation_and_test(cxrlt: Run, two: Path) -> None:
    """Source b has Cardiomegaly and lacks its parent: known where positive alone, it would lift every metric."""
    parent, child = "Enlarged Cardiomediastinum", "Cardiomegaly"
    for options in ([], ["--missing-eval", "absent"]):
        assert cxrlt("merge", "--label-space", "cxr-lt-2023", "--hierarchy", "--overwrite", *options).code == 0
        dataset = read_dataset(two / "dataset.parquet")
        above, below = dataset.classes.index(parent), dataset.classes.index(child)
        training = (dataset.table["split"] == "train").to_numpy()
        assert (dataset.targets[training, above] == dataset.targets[training, below]).all()
        if options:
            assert (dataset.targets[:, above] == dataset.targets[:, below]).all()
            assert dataset.label_mask.all()
        else:
            assert not dataset.label_mask[~training, above].any()
            assert not dataset.targets[~training, above].any()


def test_a_dataset_of_an_earlier_version_is_read(cxrlt: Run, two: Path) -> None:
    """Its policies say nothing of validation and test: the one for missing labels held there too."""
    assert cxrlt("merge", "--label-space", "chestxray14").code == 0
    dataset = read_dataset(two / "dataset.parquet")
    for effect in dataset.header.policies.values():
        del effect["missing"]["evaluation"]
    write_dataset(dataset)
    ended = cxrlt("info", "dataset.parquet")
    assert ended.code == 0, ended.err
    assert "missing absent, absent in val and test (11 classes)" in ended.out


def test_missing_labels_can_be_unknown(cxrlt: Run, two: Path) -> None:
    assert cxrlt("merge", "--label-space", "chestxray14", "--missing", "ignore").code == 0
    dataset = read_dataset(two / "dataset.parquet")
    of_b = (dataset.table["source"] == "b").to_numpy()
    hernia, mass = dataset.classes.index("Hernia"), dataset.classes.index("Mass")
    assert not dataset.label_mask[of_b, hernia].any()
    assert dataset.label_mask[~of_b, hernia].all()
    assert not dataset.label_mask[:, mass].any()


def test_the_result_does_not_depend_on_the_order_of_sources(cxrlt: Run, two: Path) -> None:
    tables = []
    for order in (["a", "b"], ["b", "a"]):
        options = [part for name in order for part in ("--source", name)]
        assert cxrlt("merge", "--label-space", "chestxray14", "--overwrite", *options).code == 0
        tables.append(read_dataset(two / "dataset.parquet").table)
    pd.testing.assert_frame_equal(*tables)


def test_official_lists_and_train_only(cxrlt: Run, tmp_path: Path) -> None:
    for name, shift in (("a", 0), ("b", 1)):
        write_pictures(tmp_path / name, 40, seed=shift)
        table = pd.read_csv(tmp_path / name / "labels.csv")
        table["image_id"] = name + table["image_id"]
        table["split"] = np.where(table.index >= 30, "test", "train")
        table.to_csv(tmp_path / name / "labels.csv", index=False)
        _cache(cxrlt, tmp_path / name, name)
    ended = cxrlt("merge", "--label-space", "chestxray14", "--train-only", "b")
    assert ended.code == 0, ended.err
    assert "10 official test images of b are left out" in ended.err
    table = read_dataset(tmp_path / "dataset.parquet").table
    assert set(table["split"][table["source"] == "b"]) == {"train"}
    of_a = table[table["source"] == "a"]
    assert set(of_a["image_id"][of_a["split"] == "test"]) == {f"ai{number:04}" for number in range(30, 40)}
    assert (of_a["split"] == "val").any(), "a part of the official training list validates"


def test_a_split_without_a_patient_is_warned_of(cxrlt: Run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", 20)
    table = pd.read_csv(tmp_path / "a/labels.csv")
    table["split"] = "train"
    table.to_csv(tmp_path / "a/labels.csv", index=False)
    _cache(cxrlt, tmp_path / "a", "a")
    merge = ["merge", "--label-space", "chestxray14", "--overwrite"]
    ended = cxrlt(*merge)
    assert ended.code == 0, ended.err
    assert "warning: no patient in test, for which --split asks 20%" in ended.err
    assert "no patient in val" not in ended.err
    assert "no patient in" not in cxrlt(*merge, "--split", "80,20,0").err, "none was asked for"


def test_a_thousand_classes_do_not_fill_the_screen(cxrlt: Run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", 20)
    table = pd.read_csv(tmp_path / "a/labels.csv")
    names = [f"Finding {number}" for number in range(1200)]
    labels = pd.DataFrame(np.random.default_rng(0).integers(0, 2, (20, 1000)), columns=names[:1000])
    pd.concat([table, labels], axis=1).to_csv(tmp_path / "a/labels.csv", index=False)
    (tmp_path / "space.txt").write_text("\n".join(names))
    (tmp_path / "have.txt").write_text("\n".join(names[:1000]))
    _cache(cxrlt, tmp_path / "a", "a", "--label-columns", tmp_path / "have.txt")
    ended = cxrlt("merge", "--label-space", tmp_path / "space.txt")
    assert ended.code == 0, ended.err
    assert len(ended.out) + len(ended.err) < 20_000
    assert "… 960 more, all in: cxrlt info" in ended.out
    assert "… 1160 more, all in: cxrlt info" in ended.out
    assert "200 classes that it does not label" in ended.err
    assert len(cxrlt("info", "dataset.parquet").out.splitlines()) > 1200


def test_duplicate_ids(cxrlt: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_pictures(tmp_path / name, 20)
        _cache(cxrlt, tmp_path / name, name)
    merge = ["merge", "--label-space", "chestxray14"]
    ended = cxrlt(*merge)
    assert ended.code == 2
    assert "20 image ids are in more than one source: i0000" in ended.err
    assert not (tmp_path / "dataset.parquet").exists()
    assert cxrlt(*merge, "--duplicate-ids", "first").code == 0
    assert set(read_dataset(tmp_path / "dataset.parquet").table["source"]) == {"a"}
    ended = cxrlt(*merge, "--duplicate-ids", "prefix", "--overwrite")
    assert ended.code == 2, "the pictures are the same: of two patients, in two splits"
    assert "are in two splits" in ended.err
    assert cxrlt(*merge, "--duplicate-ids", "prefix", "--same-picture", "keep", "--overwrite").code == 0
    assert len(read_dataset(tmp_path / "dataset.parquet").table) == 40


def test_a_patient_in_two_official_splits(cxrlt: Run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", 20)
    table = pd.read_csv(tmp_path / "a/labels.csv")
    table["split"] = ["train", "test"] * 10
    table.to_csv(tmp_path / "a/labels.csv", index=False)
    _cache(cxrlt, tmp_path / "a", "a")
    ended = cxrlt("merge", "--label-space", "chestxray14")
    assert ended.code == 2
    assert "10 patients are in two official splits" in ended.err


def test_an_unknown_class_names_the_nearest_and_map_mends_it(cxrlt: Run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", 20)
    table = pd.read_csv(tmp_path / "a/labels.csv").rename(columns={"Hernia": "Herniaa"})
    table.to_csv(tmp_path / "a/labels.csv", index=False)
    _cache(cxrlt, tmp_path / "a", "a", "--label-columns", "Cardiomegaly,Effusion,Herniaa")
    ended = cxrlt("merge", "--label-space", "chestxray14")
    assert ended.code == 2
    assert "Herniaa" in ended.err
    assert "label is in no label space" in ended.err
    assert '--map "Herniaa=Hernia"' in ended.err
    assert cxrlt("merge", "--label-space", "chestxray14", "--map", "Herniaa=Hernia").code == 0
    dataset = read_dataset(tmp_path / "dataset.parquet")
    assert dataset.targets[:, dataset.classes.index("Hernia")].sum() == table["Herniaa"].sum()


def test_pixels_that_are_not_there_or_made_otherwise(cxrlt: Run, two: Path) -> None:
    content = (two / "images/a.h5").read_bytes()
    (two / "images/a.h5").write_bytes(content[:-2000])
    ended = cxrlt("merge", "--label-space", "chestxray14")
    assert ended.code == 2
    assert "a.h5" in ended.err
    reader_done = ImageReader(two / "images/b.h5").layout.done
    (two / "images/a.h5").write_bytes(content)
    with (two / "images/b.h5").open("rb+") as file:
        file.seek(reader_done + 3)
        file.write(b"\0")
    ended = cxrlt("merge", "--label-space", "chestxray14")
    assert ended.code == 2
    assert "1 images of b have no pixels" in ended.err
    write_pictures(two / "c", 10)
    _cache(cxrlt, two / "c", "c", "--size", "24")
    ended = cxrlt("merge", "--source", "a", "--source", "c", "--label-space", "chestxray14")
    assert ended.code == 2
    assert "pixels were made differently" in ended.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--source", "aa"], "'aa' is not a cached source"),
        (["--label-space", "chestxray15"], "chestxray14"),
        (["--split", "70,20"], "three percentages"),
        (["--split", "nan,50,50"], "three percentages"),
        (["--seed", "-1"], "--seed -1"),
        (["--map", "x"], "--map"),
        (["--map", "Hernya=Hernia"], "no source has a label 'Hernya'"),
        (["--missing", "abstent"], "unknown --missing 'abstent'; expected absent"),
        (["--missing-eval", "pseudo"], "unknown --missing-eval 'pseudo'; expected ignore"),
        (["--missing-eval", "c=absent"], "a policy names 'c', which is not merged"),
        (["--uncertain", "c=positive"], "a policy names 'c', which is not merged"),
        (["--uncertain", "soft:0.9-0.1"], "--uncertain"),
        (["--missing", "pseudo"], "--pseudo FILE"),
        (["--pseudo-threshold", "0.9,0.1"], "--pseudo-threshold"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, cxrlt: Run, two: Path) -> None:
    ended = cxrlt("merge", *arguments)
    assert ended.code == 2
    assert says in ended.err
    assert not (two / "dataset.parquet").exists()


def test_an_empty_workspace_names_the_command(cxrlt: Run) -> None:
    ended = cxrlt("merge")
    assert ended.code == 2
    assert "cxrlt cache" in ended.err


def test_a_file_of_another_kind_is_not_overwritten(cxrlt: Run, two: Path) -> None:
    before = (two / "images/a.parquet").read_bytes()
    ended = cxrlt("merge", "--label-space", "chestxray14", "--output", "images/a.parquet", "--overwrite")
    assert ended.code == 2
    assert "is cxrlt source table, not cxrlt dataset: not replaced" in ended.err
    assert (two / "images/a.parquet").read_bytes() == before


def test_hierarchy(cxrlt: Run, tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", 40)
    table = pd.read_csv(tmp_path / "a/labels.csv").rename(columns={"Effusion": "Enlarged Cardiomediastinum"})
    table.to_csv(tmp_path / "a/labels.csv", index=False)
    _cache(cxrlt, tmp_path / "a", "a", "--label-columns", "Cardiomegaly,Enlarged Cardiomediastinum")
    ended = cxrlt("merge", "--label-space", "cxr-lt-2023", "--hierarchy")
    assert ended.code == 0, ended.err
    either = table["Cardiomegaly"] | table["Enlarged Cardiomediastinum"]
    changed = int(either.sum() - table["Enlarged Cardiomediastinum"].sum())
    assert f"Cardiomegaly is a kind of Enlarged Cardiomediastinum: {changed} were 0, 0 unknown" in ended.err
    dataset = read_dataset(tmp_path / "dataset.parquet")
    assert dataset.targets[:, dataset.classes.index("Enlarged Cardiomediastinum")].sum() == either.sum()
