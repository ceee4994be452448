"""Writes the hard or the composed dataset: a table source, its label space, label texts and the box of every finding."""

from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.demo.anatomy import new_patient, new_position
from cxrlt_cli.demo.composed_findings import COMPOSED_CONTRAST, COMPOSED_FINDINGS, COMPOSED_TAIL
from cxrlt_cli.demo.hard_findings import HARD_CONTRAST, HARD_FINDINGS, Box, HardFinding, draw_hard
from cxrlt_cli.demo.population import Visit
from cxrlt_cli.demo.sources import mark_phantoms
from cxrlt_cli.machine import process_pool

#: Each finding is this many times as frequent as the one before.
HARD_TAIL = 0.79
LABELS, BOXES, LABEL_SPACE, LABEL_TEXTS = "labels.csv", "boxes.csv", "label_space.txt", "label_texts.csv"

_NUMBER_OF_FINDINGS = (0.30, 0.35, 0.22, 0.13)  # shares of patients with 0, 1, 2 and 3 findings
_STAYS = 0.9  # probability that a finding of the first image is in the second


@dataclass(frozen=True)
class FindingSet:
    """The findings of a dataset, from the most to the least frequent.

    Attributes:
        findings: all of them.
        tail: how many times as frequent each is as the one before.
        contrast: strength of all.
    """

    findings: tuple[HardFinding, ...]
    tail: float
    contrast: float

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return tuple(finding.name for finding in self.findings)


HARD = FindingSet(HARD_FINDINGS, HARD_TAIL, HARD_CONTRAST)
COMPOSED = FindingSet(COMPOSED_FINDINGS, COMPOSED_TAIL, COMPOSED_CONTRAST)


@dataclass(frozen=True)
class _Drawing:
    """An image to draw."""

    image: str
    path: Path
    visit: Visit
    seed: tuple[int, int]


def hard_visits(images: int, rng: np.random.Generator, of: FindingSet = HARD) -> list[Visit]:
    """Draws patients with one or two images each (`images` in total) and 0 to 3 findings.

    Args:
        images: number of images.
        rng: random generator of the findings.
        of: the findings.
    """
    names = of.names
    weights = of.tail ** np.arange(len(names))
    found: list[Visit] = []
    patient = 0
    while len(found) < images:
        patient += 1
        number = int(rng.choice(len(_NUMBER_OF_FINDINGS), p=_NUMBER_OF_FINDINGS))
        has = {names[index] for index in rng.choice(len(names), number, replace=False, p=weights / weights.sum())}
        for picture in range(min(int(rng.integers(1, 3)), images - len(found))):
            now = tuple(name for name in names if name in has and (picture == 0 or rng.random() < _STAYS))
            found.append(Visit(patient, picture, now))
    return found


def write_hard_source(folder: Path, images: int, size: int, seed: int, workers: int, of: FindingSet = HARD) -> None:
    """Writes images and tables of a dataset; the same seed gives the same bytes.

    Args:
        folder: folder to make: images/, labels.csv, boxes.csv, label_space.txt and label_texts.csv.
        images: number of images.
        size: side of the images, px. Patients, findings and exposure are the same at every size.
        seed: random seed.
        workers: number of processes.
        of: the findings.
    """
    mark_phantoms(folder)
    (folder / "images").mkdir()
    rng = np.random.default_rng(seed)
    rows: list[list[object]] = []
    drawings = []
    people: dict[int, tuple[int, str]] = {}
    for visit in hard_visits(images, rng, of):
        age, sex = people.setdefault(visit.patient, (int(rng.integers(20, 90)), str(rng.choice(["M", "F"]))))
        patient = f"h{visit.patient:05}"
        image = f"{patient}_{visit.number}"
        path = f"images/{image}.png"
        labels = [int(name in visit.findings) for name in of.names]
        rows.append([image, path, patient, image, "PA", sex, age, *labels])
        drawings.append(_Drawing(image, folder / path, visit, (seed, visit.patient)))
    write_csv(folder / LABELS, ["image_id", "path", "patient_id", "study_id", "view", "sex", "age", *of.names], rows)
    (folder / LABEL_SPACE).write_text("\n".join(of.names) + "\n", encoding="utf-8")
    texts = [(finding.name, finding.prompt, finding.description) for finding in of.findings]
    write_csv(folder / LABEL_TEXTS, ["class", "prompt", "description"], texts)
    with process_pool(workers) as pool:
        boxes = list(pool.map(partial(_write, size=size, of=of), drawings, chunksize=16))
    places = [(drawing.image, *astuple(box)) for drawing, found in zip(drawings, boxes, strict=True) for box in found]
    write_csv(folder / BOXES, ["image_id", "class", "x", "y", "w", "h"], places)


def _write(drawing: _Drawing, size: int, of: FindingSet) -> list[Box]:
    patient = new_patient(np.random.default_rng(drawing.seed))
    seed = (*drawing.seed, drawing.visit.number)
    position = new_position(patient, np.random.default_rng(seed))
    pixels, boxes = draw_hard(drawing.visit.findings, position, seed, size, of.findings, of.contrast)
    Image.fromarray(pixels).save(drawing.path, compress_level=1)
    return boxes
