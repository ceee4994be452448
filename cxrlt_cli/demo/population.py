"""Draws synthetic patients and their findings: long-tailed, with co-occurring findings."""

from dataclasses import dataclass

import numpy as np

#: Findings, sorted by frequency.
FINDINGS = (
    "Infiltration", "Effusion", "Atelectasis", "Cardiomegaly", "Nodule", "Mass", "Pneumothorax", "Consolidation",
    "Edema", "Pneumonia", "Emphysema", "Pleural_Thickening", "Fibrosis", "Hernia",
)  # fmt: skip
#: Frequency of each main finding relative to the one before; smaller values give a longer tail.
USUAL_TAIL = 0.84

#: Main finding -> co-occurring findings and their probabilities.
_COMPANIONS = {
    "Edema": {"Effusion": 0.6, "Cardiomegaly": 0.6},
    "Cardiomegaly": {"Effusion": 0.3, "Edema": 0.1},
    "Pneumonia": {"Infiltration": 0.3, "Consolidation": 0.3},
    "Consolidation": {"Effusion": 0.25},
    "Atelectasis": {"Effusion": 0.35},
    "Emphysema": {"Pneumothorax": 0.25},
    "Mass": {"Nodule": 0.3},
    "Fibrosis": {"Pleural_Thickening": 0.3},
}
_HEALTHY, _STAYS, _COMES = 0.36, 0.85, 0.04


@dataclass(frozen=True)
class Visit:
    """One image of a patient."""

    patient: int
    number: int
    findings: tuple[str, ...]


def visits(images: int, rng: np.random.Generator, tail: float = USUAL_TAIL) -> list[Visit]:
    """Draws patients with 1 to 4 images each, `images` in total. Most findings persist from image to image.

    Args:
        images: number of images.
        rng: random generator.
        tail: how many times as frequent each finding is as the one before.
    """
    found: list[Visit] = []
    patient = 0
    while len(found) < images:
        patient += 1
        chronic = _patient(rng, tail)
        for number in range(min(int(rng.integers(1, 5)), images - len(found))):
            # sorted: the order of a set of strings differs between processes
            now = {name for name in sorted(chronic) if number == 0 or rng.random() < _STAYS}
            if rng.random() < _COMES:
                now.add(_main(rng, tail))
            found.append(Visit(patient, number, tuple(name for name in FINDINGS if name in now)))
    return found


def _main(rng: np.random.Generator, tail: float) -> str:
    weights = tail ** np.arange(len(FINDINGS))
    return FINDINGS[int(rng.choice(len(FINDINGS), p=weights / weights.sum()))]


def _patient(rng: np.random.Generator, tail: float) -> set[str]:
    if rng.random() < _HEALTHY:
        return set()
    main = _main(rng, tail)
    return {main, *(name for name, share in _COMPANIONS.get(main, {}).items() if rng.random() < share)}
