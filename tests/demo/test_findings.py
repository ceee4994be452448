"""The phantoms: each finding changes the picture, and where it should."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from cxrlt_cli.demo.anatomy import new_patient, new_position
from cxrlt_cli.demo.findings import draw
from cxrlt_cli.demo.population import FINDINGS, visits

SIZE = 96


@functools.cache
def _pictures(findings: frozenset[str], seed: int, count: int = 6) -> np.ndarray:
    """Mean of several pictures of one patient: grain goes, what is drawn stays."""
    patient = new_position(new_patient(np.random.default_rng(seed)), np.random.default_rng(seed))
    drawn = [draw(findings, patient, np.random.default_rng((seed, number)), SIZE) for number in range(count)]
    return np.mean(drawn, axis=0)


def _change(finding: str, seed: int) -> np.ndarray:
    return _pictures(frozenset({finding}), seed) - _pictures(frozenset(), seed)


@pytest.mark.parametrize("finding", FINDINGS)
def test_every_finding_changes_the_picture(finding: str) -> None:
    noise = np.abs(_pictures(frozenset(), 1)[1:] - _pictures(frozenset(), 1, count=7)[1:]).mean()
    for seed in range(3):
        assert np.abs(_change(finding, seed)).max() > 20
        assert np.abs(_change(finding, seed)).mean() > 2 * noise


def _share(change: np.ndarray, place: np.ndarray) -> float:
    """Share of a change's strong part that lies in a place."""
    strong = np.abs(change) > 0.4 * np.abs(change).max()
    return float((strong & place).sum() / strong.sum())


Y, X = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]  # type: ignore[misc]
#: Where a finding belongs, in coordinates of the chest.
PLACES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Effusion": lambda _, y: y > 0.0,
    "Cardiomegaly": lambda x, y: (y > 0.0) & (np.abs(x) < 0.6),
    "Pneumothorax": lambda x, _: np.abs(x) > 0.1,
    "Pleural_Thickening": lambda x, _: np.abs(x) > 0.3,
    "Hernia": lambda x, y: (np.abs(x) < 0.4) & (y > 0.0),
    "Fibrosis": lambda _, y: y > -0.4,
    "Edema": lambda x, _: np.abs(x) < 0.6,
    "Mass": lambda x, _: (np.abs(x) > 0.1) & (np.abs(x) < 0.75),
}


@pytest.mark.parametrize("finding", PLACES)
def test_findings_are_where_they_belong(finding: str) -> None:
    shares = []
    for seed in range(4):
        patient = new_position(new_patient(np.random.default_rng(seed)), np.random.default_rng(seed))
        x, y = ((at - middle) / patient.zoom for at, middle in zip((X, Y), patient.centre, strict=True))
        shares.append(_share(_change(finding, seed), PLACES[finding](x, y)))
    assert min(shares) > 0.8, shares


def test_effusion_is_bright_and_pneumothorax_dark() -> None:
    assert _change("Effusion", 0).max() > 60
    assert _change("Pneumothorax", 0).min() < -20
    assert _change("Emphysema", 0).min() < -20


def test_the_tail_is_long_and_findings_come_together() -> None:
    found = visits(4000, np.random.default_rng(0))
    share = {name: np.mean([name in visit.findings for visit in found]) for name in FINDINGS}
    assert 0.10 < share["Effusion"] < 0.30
    assert 0.004 < share["Hernia"] < 0.03
    assert 0.25 < np.mean([not visit.findings for visit in found]) < 0.60
    edema = [visit.findings for visit in found if "Edema" in visit.findings]
    assert np.mean(["Effusion" in findings for findings in edema]) > 2 * share["Effusion"]
    pictures = np.bincount([visit.patient for visit in found])
    assert pictures.max() == 4
    assert pictures[1:].min() >= 1


def test_patients_do_not_depend_on_the_hash_seed_of_the_process() -> None:
    script = "import numpy as np; from cxrlt_cli.demo.population import visits; print(visits(300, np.random.default_rng(0)))"
    drawn = [
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0].count(b"Visit(") == 300
