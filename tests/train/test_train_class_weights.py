"""What the terms of --reweight come to."""

from pathlib import Path

import numpy as np
import pytest

from cxrlt_cli.config.train_grammar import parse_reweight
from cxrlt_cli.errors import UserError
from cxrlt_cli.train.class_weights import class_weights, hardest

CLASSES = ["Effusion", "Mass", "Hernia", "Fibrosis"]
POSITIVES, KNOWN = np.array([400, 50, 4, 16]), np.full(4, 1000)
AP = {"Effusion": 0.5, "Mass": 0.1, "Hernia": 0.3, "Fibrosis": 0.1}


def _weights(text: str) -> list[float]:
    return class_weights(parse_reweight(text), CLASSES, POSITIVES, KNOWN, AP).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 1, 1, 1]),
        ("hard1:3", [1, 3, 1, 1]),
        ("hard2:3", [1, 3, 1, 3]),
        ("hard3:2", [1, 2, 2, 2]),
        ("Hernia:2,Fibrosis:3", [1, 1, 2, 3]),
        ("hernia : 2", [1, 1, 2, 1]),
        ("Pleural Effusion:2", [2, 1, 1, 1]),
        ("head:0.5,medium:2,tail:4", [0.5, 2, 4, 2]),
        ("hard2:3,Mass:2", [1, 6, 1, 3]),
    ],
)
def test_terms_and_their_products(text: str, expected: list[float]) -> None:
    assert _weights(text) == expected


def test_inverse_sqrt_and_effective_multiply_too() -> None:
    raw = POSITIVES**-0.5
    assert np.allclose(_weights("inverse-sqrt,Hernia:2"), raw / raw.mean() * [1, 1, 2, 1])
    raw = (1 - 0.99) / (1 - 0.99**POSITIVES)
    assert np.allclose(_weights("effective:0.99"), raw / raw.mean())


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "weights.csv").write_text("class,weight\nHernia,2.5\nMass,0\n")
    assert _weights(f"@{tmp_path / 'weights.csv'}") == [1, 0, 2.5, 1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name,weight\nMass,1\n", "no columns"),
        ("class,weight\nMass,x\n", "cannot be read"),
        ("class,weight\nMass,-1\n", "negative"),
        ("class,weight\nMas,1\n", "nearest is 'Mass'"),
        ("class,weight\nMass,1\nMass,2\n", "twice"),
    ],
)
def test_a_bad_file(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "weights.csv").write_text(content)
    with pytest.raises(UserError, match=says):
        _weights(f"@{tmp_path / 'weights.csv'}")


def test_an_unknown_class_names_the_nearest() -> None:
    with pytest.raises(UserError, match="nearest is 'Hernia'"):
        _weights("Herna:2")


def test_hard_classes_are_those_of_lowest_ap_and_need_one() -> None:
    assert hardest(2, CLASSES, AP) == ["Mass", "Fibrosis"]
    with pytest.raises(UserError, match="only 2 of 4 classes have an AP"):
        hardest(3, CLASSES, {"Mass": 0.1, "Hernia": 0.2})
