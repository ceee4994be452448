"""Label spaces and synonyms."""

from pathlib import Path

import pytest

from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.spaces import all_classes, canonical, known_names, map_labels, read_space

NIH, CXR_LT = read_space("chestxray14"), read_space("cxr-lt-2023")


def test_built_in_spaces() -> None:
    assert len(NIH) == 14
    assert len(CXR_LT) == len(set(CXR_LT)) == 26
    assert sorted(CXR_LT) == list(CXR_LT)
    assert set(all_classes()) == set(NIH) | set(CXR_LT)


@pytest.mark.parametrize(
    ("first", "second"),
    [("Effusion", "pleural effusion"), ("Pleural_Thickening", "Pleural Thickening"), ("Normal", "No Finding"),
     ("Oedema", "EDEMA"), ("Hiatal hernia", "Hernia"), ("Mass", "lung  mass"), ("Lung-Opacity", "Lung Opacity")],
)  # fmt: skip
def test_names_that_mean_the_same(first: str, second: str) -> None:
    assert canonical(first) == canonical(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("Mass", "Lung Lesion"), ("Infiltration", "Lung Opacity"), ("Emphysema", "Subcutaneous Emphysema"), ("Mass", "Nodule"),
     ("Pleural Other", "Pleural Effusion"), ("Cardiomegaly", "Enlarged Cardiomediastinum"), ("Pneumonia", "Consolidation")],
)  # fmt: skip
def test_names_that_do_not(first: str, second: str) -> None:
    assert canonical(first) != canonical(second)


def test_no_name_is_in_two_groups_of_synonyms() -> None:
    names = known_names()
    assert len(names) == len(set(names))
    meanings = [canonical(name) for name in CXR_LT]
    assert len(set(meanings)) == 26, "no two classes of a space mean the same"


def test_a_file_of_classes(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("# my labels\nCardiomegaly\n\nRib notch  # rare\n", encoding="utf-8-sig")
    assert read_space(str(path)) == ["Cardiomegaly", "Rib notch"]
    cases = {"# none\n": "names no class", "Effusion\nPleural Effusion\n": "mean the same", "A\nA\n": "mean the same"}
    for content, says in cases.items():
        path.write_text(content)
        with pytest.raises(UserError, match=says):
            read_space(str(path))


def test_an_unknown_space_names_the_nearest() -> None:
    with pytest.raises(UserError, match="nearest is 'cxr-lt-2023'") as caught:
        read_space("cxr-lt-2032")
    assert "chestxray14" in caught.value.hint


def test_mapping_by_name_synonym_and_the_users_word() -> None:
    found = map_labels(
        ["Effusion", "Mass", "No Finding", "Big heart", "Code 7"], NIH, {"Big heart": "Cardiomegaly", "Code 7": ""}
    )
    assert found == {"Effusion": "Effusion", "Mass": "Mass", "No Finding": None, "Big heart": "Cardiomegaly", "Code 7": None}
    assert map_labels(NIH, CXR_LT, {})["Pleural_Thickening"] == "Pleural Thickening"
    assert None not in map_labels(NIH, CXR_LT, {}).values()


def test_an_unknown_label_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="nearest is 'Cardiomegaly'") as caught:
        map_labels(["Cardiomegalie"], NIH, {})
    assert '--map "Cardiomegalie=CLASS"' in caught.value.hint


def test_two_labels_of_one_class_are_refused() -> None:
    with pytest.raises(UserError, match="Effusion, Pleural Effusion are one class"):
        map_labels(["Effusion", "Pleural Effusion"], NIH, {})
