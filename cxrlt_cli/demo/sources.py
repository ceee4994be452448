"""Writes two synthetic hospitals: one in NIH's layout, one as a table with other label names and fewer labels."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.data_sources import PHANTOMS_MARK
from cxrlt_cli.demo.anatomy import new_patient, new_position
from cxrlt_cli.demo.findings import draw
from cxrlt_cli.demo.population import USUAL_TAIL, Visit, visits
from cxrlt_cli.machine import process_pool

#: Hospital B's names of the findings that it labels; its images show the other findings too, but unlabelled.
HOSPITAL_B_NAMES = {
    "Cardiomegaly": "Cardiomegaly", "Effusion": "Pleural Effusion", "Edema": "Edema", "Pneumonia": "Pneumonia",
    "Atelectasis": "Atelectasis", "Pneumothorax": "Pneumothorax", "Consolidation": "Consolidation", "Mass": "Lung Mass",
    "Pleural_Thickening": "Pleural Thickening",
}  # fmt: skip
_NIH_COLUMNS = [
    "Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender", "View Position",
    "OriginalImage[Width", "Height]", "OriginalImagePixelSpacing[x", "y]",
]  # fmt: skip
_FRACTION_OF_A, _FRACTION_OF_TEST = 0.6, 0.25


@dataclass(frozen=True)
class Picture:
    """An image to draw: file, storage format, patient and findings."""

    path: Path
    storage: str
    visit: Visit
    seed: tuple[int, ...]


def write_sources(folder: Path, images: int, size: int, seed: int, workers: int, tail: float = USUAL_TAIL) -> None:
    """Writes `hospital-a` and `hospital-b`; the same seed gives the same bytes.

    Hospital A has NIH's layout with official lists. Its first images have unusual modes, and one file is truncated.
    """
    for name in ("hospital-a", "hospital-b"):
        mark_phantoms(folder / name)
    rng = np.random.default_rng(seed)
    of_a = visits(round(images * _FRACTION_OF_A), rng, tail)
    of_b = visits(images - len(of_a), rng, tail)
    pictures = [*_hospital_a(folder / "hospital-a", of_a, rng, seed), *_hospital_b(folder / "hospital-b", of_b, rng, seed)]
    with process_pool(workers) as pool:
        list(pool.map(partial(_write, size=size), pictures, chunksize=16))
    cut = pictures[len(_UNUSUAL)].path
    cut.write_bytes(cut.read_bytes()[:2000])


def mark_phantoms(folder: Path) -> None:
    """Makes the folder of a source, with a file that says what its images are; `cxrlt cache` reads it."""
    folder.mkdir(parents=True)
    text = "The radiographs in this folder are phantoms: cxrlt demo drew them. They show nobody.\n"
    (folder / PHANTOMS_MARK).write_text(text, encoding="utf-8")


#: Storage formats of hospital A's first images; the others are gray PNGs.
_UNUSUAL = ("16-bit", "RGBA", "palette", "RGB")


def _hospital_a(folder: Path, found: list[Visit], rng: np.random.Generator, seed: int) -> list[Picture]:
    (folder / "images").mkdir()
    rows, pictures = [], []
    lists: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    people = {patient: (int(rng.integers(20, 90)), rng.choice(["M", "F"])) for patient in {visit.patient for visit in found}}
    testing = {patient for patient in sorted(people) if rng.random() < _FRACTION_OF_TEST and patient > len(_UNUSUAL) + 1}
    for index, visit in enumerate(found):
        name = f"{visit.patient:08}_{visit.number:03}.png"
        age, sex = people[visit.patient]
        labels = "|".join(sorted(visit.findings)) or "No Finding"
        rows.append([name, labels, visit.number, visit.patient, age, sex, "PA", 2500, 2500, 0.14, 0.14])
        lists["test_list.txt" if visit.patient in testing else "train_val_list.txt"].append(name)
        storage = _UNUSUAL[index] if index < len(_UNUSUAL) else "PNG"
        pictures.append(Picture(folder / "images" / name, storage, visit, (seed, 0, visit.patient)))
    write_csv(folder / "Data_Entry_2017.csv", _NIH_COLUMNS, rows)
    for name, images in lists.items():
        (folder / name).write_text("\n".join(images) + "\n", encoding="utf-8")
    return pictures


def _hospital_b(folder: Path, found: list[Visit], rng: np.random.Generator, seed: int) -> list[Picture]:
    (folder / "images").mkdir()
    rows, pictures = [], []
    people = {patient: (int(rng.integers(20, 90)), rng.choice(["M", "F"])) for patient in {visit.patient for visit in found}}
    for index, visit in enumerate(found):
        image = f"p{visit.patient:04}_s{visit.number}"
        storage = ("JPEG", "PNG", "JPEG", "CMYK", "EXIF")[index] if index < 5 else ("JPEG", "PNG")[index % 2]
        path = f"images/{image}.{'png' if storage == 'PNG' else 'jpg'}"
        age, sex = people[visit.patient]
        labels = [int(name in visit.findings) for name in HOSPITAL_B_NAMES]
        rows.append([image, path, f"p{visit.patient:04}", f"p{visit.patient:04}_s{visit.number}", "AP", sex, age, *labels])
        pictures.append(Picture(folder / path, storage, visit, (seed, 1, visit.patient)))
    columns = ["image_id", "path", "patient_id", "study_id", "view", "sex", "age", *HOSPITAL_B_NAMES.values()]
    write_csv(folder / "labels.csv", columns, rows)
    return pictures


def _write(picture: Picture, size: int) -> None:
    patient = new_patient(np.random.default_rng(picture.seed))
    rng = np.random.default_rng((*picture.seed, picture.visit.number))
    pixels = draw(picture.visit.findings, new_position(patient, rng), rng, size)
    _save(Image.fromarray(pixels), picture.path, picture.storage)


def _save(image: Image.Image, path: Path, storage: str) -> None:
    if storage == "16-bit":
        Image.fromarray(np.asarray(image).astype(np.uint16) * 257).save(path)
    elif storage in ("RGBA", "RGB"):
        image.convert(storage).save(path)
    elif storage == "palette":
        image.quantize(256).save(path)
    elif storage == "CMYK":
        image.convert("CMYK").save(path, quality=90)
    elif storage == "EXIF":  # stored rotated, with the EXIF tag for it
        exif = Image.Exif()
        exif[0x0112] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(path, quality=90, exif=exif)
    else:
        image.save(path, quality=90, compress_level=1)  # each format takes its own of the two
