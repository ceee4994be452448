"""Labels of sources to classes: by name, by synonym, by the user's word."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CACHE, Run, write_pictures

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.harmonize import _union
from cxrlt_cli.labels.label_map import LabelMap, classes_of, map_labels, map_sources, read_label_map
from cxrlt_cli.labels.spaces import built_in_spaces, read_space

NIH, CXR_LT = read_space("chestxray14"), read_space("cxr-lt-2023")


def test_every_label_of_every_published_source_is_known() -> None:
    """Each space can be mapped into each other."""
    spaces = built_in_spaces()
    for source in spaces.values():
        for target in spaces.values():
            assert not map_labels(source, target, {})[1]
    mapped, _ = map_labels(spaces["vindr-cxr"], CXR_LT, {})
    assert mapped["Pulmonary fibrosis"] == "Fibrosis"
    assert mapped["Nodule/Mass"] is None
    assert map_labels(spaces["cxr-lt-2024"], spaces["cxr-lt-2026"], {})[0]["Pneumoperitoneum"] == "pneumoperitoneo"


def test_mapping_by_name_synonym_and_the_users_word() -> None:
    labels = ["Effusion", "Mass", "No Finding", "Big heart", "Code 7"]
    found, unknown = map_labels(labels, NIH, {"Big heart": "Cardiomegaly", "Code 7": ""})
    assert found == {"Effusion": "Effusion", "Mass": "Mass", "No Finding": None, "Big heart": "Cardiomegaly", "Code 7": None}
    assert not unknown
    assert map_labels(NIH, CXR_LT, {})[0]["Pleural_Thickening"] == "Pleural Thickening"
    assert None not in map_labels(NIH, CXR_LT, {})[0].values()


@pytest.mark.parametrize(
    ("label", "near"),
    [("Cardiomegalie", "Cardiomegaly"), ("heart, enlarged", "Cardiomegaly"), ("hernia hiatal", "Hernia"), ("qqqq", "")],
)
def test_unknown_labels_come_with_the_nearest_class(label: str, near: str) -> None:
    mapping, unknown = map_labels(["Mass", label], NIH, {})
    assert mapping == {"Mass": "Mass", label: None}
    assert unknown == {label: near}


def test_a_class_that_the_user_mistyped_is_refused() -> None:
    with pytest.raises(UserError, match="Code 7 = 'Hernya'; nearest is 'Hernia'"):
        map_labels(["Code 7"], NIH, {"Code 7": "Hernya"})


def test_the_classes_of_the_sources() -> None:
    labels = {"a": ["Effusion", "Rib notch"], "b": ["Pleural Effusion", "rib_notch", "Code 7", "Code 8"]}
    assert classes_of(labels, LabelMap({("b", "Code 7"): "", ("", "Code 8"): "Mass"})) == ["Effusion", "Rib notch", "Mass"]
    with pytest.raises(UserError, match="no label that is not left out"):
        classes_of({"a": ["Mass"]}, LabelMap({("", "Mass"): ""}))


def test_labels_that_are_one_class() -> None:
    """1 before -1 before unknown before 0: what is not known to be absent is not made absent."""
    pairs = [(1, 0), (1, -1), (1, BLANK), (-1, 0), (-1, BLANK), (0, BLANK), (0, 0), (BLANK, BLANK)]
    expected = [1, 1, 1, -1, -1, BLANK, 0, BLANK]
    labels = np.array(pairs, dtype=np.int8)
    assert _union(labels).tolist() == _union(labels[:, ::-1]).tolist() == expected


def test_a_source_of_the_map_counts_before_every_source(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text("source,label,class,why\n,Opacity,Mass,\nb,Opacity,leave-out,unclear\n", encoding="utf-8-sig")
    label_map = read_label_map({"Code 7": "Hernia"}, [path, tmp_path / "new.csv"])
    assert label_map.of("a") == {"Code 7": "Hernia", "Opacity": "Mass"}
    assert label_map.of("b") == {"Code 7": "Hernia", "Opacity": ""}
    assert (label_map.files, label_map.absent) == ((path,), (tmp_path / "new.csv",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "no column source, label, class"),
        ("label,class\nA,Mass\n", "no column source"),
        ("source,label,class\n,A,\n,B,\n", "2 labels have no class yet: A, B"),
        ("source,label,class\n,,Mass\n", "row 2: an empty label"),
        ("source,label,class\n,A,Mass\n,A,Hernia\n", "row 3: --map gives label 'A' two classes"),
        ("source,label,class\n,A\n", "row 2: 2 cells"),
    ],
)
def test_bad_maps(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(content)
    with pytest.raises(UserError, match=says) as caught:
        read_label_map({}, [tmp_path / "map.csv"])
    assert caught.value.hint


ODD = {"Cardiomegaly": "Heart big", "Effusion": "Efusion", "Hernia": "Zzz"}


@pytest.fixture
def odd(cxrlt: Run, tmp_path: Path) -> pd.DataFrame:
    """Two cached sources, `a` with three labels that nothing knows, `b` with one of them and Hernia."""
    table = pd.DataFrame()
    for name, renamed in (("a", ODD), ("b", {"Cardiomegaly": "Heart big"})):
        write_pictures(tmp_path / name, 30, seed=ord(name))
        table = pd.read_csv(tmp_path / name / "labels.csv").rename(columns=renamed)
        table["image_id"] = name + table["image_id"]
        table.to_csv(tmp_path / name / "labels.csv", index=False)
        columns = ",".join(table.columns[4:])
        ended = cxrlt(*CACHE, "--source", f"table={tmp_path / name / 'labels.csv'}", "--label-columns", columns)
        assert ended.code == 0 or "labels exists" in ended.err, ended.err
        (tmp_path / "images/labels.h5").rename(tmp_path / f"images/{name}.h5")
        (tmp_path / "images/labels.parquet").rename(tmp_path / f"images/{name}.parquet")
    return table


def test_all_unknown_labels_are_named_in_one_run(cxrlt: Run, odd: pd.DataFrame, tmp_path: Path) -> None:
    ended = cxrlt("merge", "--label-space", "chestxray14")
    assert ended.code == 2
    assert "4 labels are in no label space" in ended.err
    lines = [line.split() for line in ended.err.splitlines()]
    assert ["Efusion", "a", "Effusion"] in lines
    assert ["Heart", "big", "a"] in lines or ["Heart", "big", "a", "Cardiomegaly"] in lines
    assert ["Zzz", "a"] in lines
    assert not (tmp_path / "dataset.parquet").exists()


def test_many_unknown_labels_do_not_fill_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="1200 labels are in no label space"):
        map_sources({"a": [f"Code {number}" for number in range(1200)]}, NIH, LabelMap({}), leave_out=[])
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) < 50
    assert any("1160 more, all in: cxrlt merge --map FILE.csv" in line for line in shown)


def test_a_map_is_written_filled_in_and_taken_back(cxrlt: Run, odd: pd.DataFrame, tmp_path: Path) -> None:
    merge = ["merge", "--label-space", "chestxray14", "--map", "my/map.csv"]
    path = tmp_path / "my/map.csv"
    ended = cxrlt(*merge)
    assert ended.code == 2
    assert "written to my/map.csv" in ended.err
    table = pd.read_csv(path, keep_default_na=False)
    assert table.columns.tolist() == ["source", "label", "class", "nearest"]
    assert sorted(table["label"]) == ["Efusion", "Heart big", "Heart big", "Zzz"]
    assert "4 labels have no class yet" in cxrlt(*merge).err, "nothing is taken that nobody decided"
    table["class"] = table["label"].map({"Efusion": "Effusion", "Heart big": "Cardiomegaly", "Zzz": "leave-out"})
    table.to_csv(path, index=False)
    before = path.read_bytes()
    ended = cxrlt(*merge)
    assert ended.code == 0, ended.err
    assert path.read_bytes() == before
    dataset = read_dataset(tmp_path / "dataset.parquet")
    heart = dataset.targets[(dataset.table["source"] == "b").to_numpy(), dataset.classes.index("Cardiomegaly")]
    assert heart.sum() == odd["Heart big"].sum() > 0
    assert any(entry.path == "my/map.csv" for entry in dataset.header.provenance.inputs)


def test_unknown_labels_can_be_left_out(cxrlt: Run, odd: pd.DataFrame, tmp_path: Path) -> None:
    ended = cxrlt("merge", "--label-space", "chestxray14", "--unknown", "leave-out", "--map", "Efusion=Effusion")
    assert ended.code == 0, ended.err
    assert "3 labels that no label space has are left out" in ended.err
    dataset = read_dataset(tmp_path / "dataset.parquet")
    assert not dataset.targets[:, dataset.classes.index("Cardiomegaly")].any()
    assert dataset.targets[:, dataset.classes.index("Effusion")].any()


def test_rows_that_name_nothing_are_counted(cxrlt: Run, odd: pd.DataFrame, tmp_path: Path) -> None:
    rows = ["a,Efusion,Effusion", ",Heart big,Cardiomegaly", "a,Zzz,leave-out", "c,Zzz,Mass", ",Zzy,Mass"]
    (tmp_path / "map.csv").write_text("\n".join(["source,label,class", *rows]))
    ended = cxrlt("merge", "--label-space", "chestxray14", "--map", "map.csv")
    assert ended.code == 0, ended.err
    assert "2 rows of --map name a source or label that is not merged: c: Zzz, every source: Zzy" in ended.err


def test_the_label_space_of_the_sources(cxrlt: Run, odd: pd.DataFrame, tmp_path: Path) -> None:
    ended = cxrlt("merge", "--label-space", "sources", "--map", "Zzz=Hernia")
    assert ended.code == 0, ended.err
    dataset = read_dataset(tmp_path / "dataset.parquet")
    assert dataset.classes == ["Heart big", "Efusion", "Hernia", "Effusion"]
    assert dataset.header.label_space == "sources"
    assert dataset.targets.any(axis=0).all(), "no class without a positive"
    assert cxrlt("embed-labels", "--encoder", "ngram", "--label-space", "dataset").code == 0, "no file of texts is needed"


def test_two_labels_of_one_class_are_joined(cxrlt: Run, odd: pd.DataFrame, tmp_path: Path) -> None:
    options = ["--map", "Heart big=Effusion", "--map", "Efusion=Effusion", "--map", "Zzz="]
    ended = cxrlt("merge", "--label-space", "chestxray14", *options)
    assert ended.code == 0, ended.err
    assert "b: several labels map to one class, which is 1 if any of them is 1: Effusion (Heart big, Effusion)" in ended.err
    dataset = read_dataset(tmp_path / "dataset.parquet")
    of_b = (dataset.table["source"] == "b").to_numpy()
    either = (odd["Heart big"] | odd["Effusion"]).sum()
    assert dataset.targets[of_b, dataset.classes.index("Effusion")].sum() == either
