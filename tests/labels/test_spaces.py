"""Label spaces and synonyms."""

from pathlib import Path

import pytest

from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.spaces import all_classes, built_in_spaces, canonical, known_names, read_space

NIH, CXR_LT = read_space("chestxray14"), read_space("cxr-lt-2023")


def test_built_in_spaces() -> None:
    assert len(NIH) == 14
    assert len(CXR_LT) == len(set(CXR_LT)) == 26
    assert sorted(CXR_LT) == list(CXR_LT)
    sizes = {name: len(space) for name, space in built_in_spaces().items()}
    assert sizes == {
        "chestxray14": 14, "cxr-lt-2023": 26, "chexpert": 14, "cxr-lt-2024": 40, "cxr-lt-2024-all": 45, "cxr-lt-2026": 30,
        "cxr-lt-2026-unseen": 6, "vindr-cxr": 28,
    }  # fmt: skip
    for name, space in built_in_spaces().items():
        assert len({canonical(label) for label in space}) == len(space), f"{name}: two classes mean the same"
        assert set(space) <= set(all_classes())


def test_spaces_contain_each_other_where_they_should() -> None:
    meanings = {name: {canonical(label) for label in space} for name, space in built_in_spaces().items()}
    assert meanings["chexpert"] < meanings["cxr-lt-2023"] < meanings["cxr-lt-2024"] < meanings["cxr-lt-2024-all"]
    assert meanings["chestxray14"] < meanings["cxr-lt-2023"]
    assert not meanings["cxr-lt-2026"] & meanings["cxr-lt-2026-unseen"]


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
    with pytest.raises(UserError, match="nearest is 'cxr-lt-20") as caught:
        read_space("cxr-lt-2032")
    assert "chestxray14" in caught.value.hint
