"""A finding that is a kind of another implies it."""

import numpy as np
import pytest

from cxrlt_cli.labels.hierarchy import Implied, ancestors, imply_parents
from cxrlt_cli.labels.spaces import canonical, known_names


def test_by_hand_also_over_a_class_that_is_not_there() -> None:
    """Pneumonia is a kind of Consolidation, that of Lung Opacity; here the middle one is not a class."""
    classes = ["Pneumonia", "Lung Opacity", "Cardiomegaly"]
    positive = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]], dtype=bool)
    label_mask = np.array([[1, 1, 1], [1, 0, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)
    before = positive.copy(), label_mask.copy()
    found, sure, implied = imply_parents(positive, label_mask, classes)
    assert found.astype(int).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert sure.astype(int).tolist() == [[1, 1, 1], [1, 1, 1], [1, 0, 1], [1, 1, 1]]
    assert implied == [Implied("Pneumonia", "Lung Opacity", from_absent=1, from_unknown=1)]
    assert (positive == before[0]).all()
    assert (label_mask == before[1]).all()


def test_the_order_of_the_classes_does_not_matter_and_twice_is_once() -> None:
    draws = np.random.default_rng(0)
    classes = [
        "Nodule",
        "Lung Lesion",
        "Edema",
        "Lung Opacity",
        "Rib Fracture",
        "Fracture",
        "Hydropneumothorax",
        "Pneumothorax",
    ]
    positive = draws.random((200, 8)) < 0.2
    label_mask = positive | (draws.random((200, 8)) < 0.5)
    found, sure, _ = imply_parents(positive, label_mask, classes)
    order = draws.permutation(8)
    other, other_sure, _ = imply_parents(positive[:, order], label_mask[:, order], [classes[i] for i in order])
    assert (other == found[:, order]).all()
    assert (other_sure == sure[:, order]).all()
    assert not imply_parents(found, sure, classes)[2]


def test_every_name_is_known_and_every_finding_of_chexpert_has_its_parents() -> None:
    known = {canonical(name) for name in known_names()}
    assert {name for child, parents in ancestors().items() for name in (child, *parents)} <= known
    assert ancestors()["pneumonia"] == {"consolidation", "lung opacity"}
    assert ancestors()["nodule"] == {"lung lesion", "lung opacity", "nodule/mass"}


@pytest.mark.parametrize(
    ("name", "parents"),
    [
        ("Pleural_Thickening", {"pleural other"}),
        ("Lung tumor", {"lung lesion", "lung opacity"}),
        ("Lung cavity", {"lung lesion", "lung opacity"}),
        ("interstitial pattern", {"lung opacity"}),
        ("ILD", {"lung opacity"}),
    ],
)
def test_findings_that_chexpert_has_among_its_phrases(name: str, parents: set[str]) -> None:
    assert ancestors()[canonical(name)] == parents


@pytest.mark.parametrize("name", ["no finding", "support devices"])
def test_what_is_no_kind_of_anything(name: str) -> None:
    assert name not in ancestors()
