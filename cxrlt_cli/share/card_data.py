"""The sections of a model card on the data: sources, preprocessing, reference standard, partitions."""

import numpy as np

from cxrlt_cli.artifacts.data_sources import PHANTOMS
from cxrlt_cli.artifacts.dataset import SPLITS, Dataset
from cxrlt_cli.artifacts.pack import Pack
from cxrlt_cli.share.card_pages import Item, Section, Table
from cxrlt_cli.sources.terms import terms_of

_SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}
_FIT = {"pad": "padded with black to a square", "crop": "cropped to a square", "stretch": "stretched to a square"}


def data_sections(pack: Pack, dataset: Dataset | None) -> list[Section]:
    """The sections `Data`, `Reference standard` and `Data partitions`.

    Args:
        pack: the model.
        dataset: of its training; None where it is no longer there.
    """
    return [
        Section("Data", [_sources(pack), _preprocessing(pack), _missing(dataset)]),
        Section("Reference standard", [_reference()]),
        Section("Data partitions", [_partitions(dataset)]),
    ]


def _sources(pack: Pack) -> Item:
    if pack.data_sources is None:
        return Item("Data sources", ["Not recorded."])
    rows = []
    for source in pack.data_sources:
        terms = terms_of(source)
        page = "none: made by cxrlt demo" if source.kind == PHANTOMS else "ask the authors"
        rows.append((terms.dataset, f"{terms.text}.", terms.address or page))
    return Item("Data sources", [], Table(("source", "licence or terms", "official page"), rows))


def _preprocessing(pack: Pack) -> Item:
    pixels = pack.runs[0].checkpoint.pixels
    window, clahe = pixels.get("window"), pixels.get("clahe")
    shape = _FIT.get(str(pixels.get("fit")), "made square")
    text = f"8-bit gray, {shape}, {pixels['size']} px, {pixels.get('resample')} resampling"
    text += f", gray values between percentiles {window}" if window else ""
    text += f", adaptive histogram equalization with clip limit {clahe:g}" if clahe else ""
    return Item("Preprocessing", [f"{text}. Images that cannot be read are left out and listed."])


def _missing(dataset: Dataset | None) -> Item:
    text = "Unknown labels are left out of every metric. Options of cxrlt merge decide how they count in training."
    if dataset is not None:
        text += f" {1 - float(dataset.label_mask.mean()):.1%} of the labels of the dataset are unknown."
    return Item("Missing data", [text])


def _reference() -> Item:
    return Item(
        "Definition", ["The labels of the sources, mapped to the classes of the model by name. See the official pages above."]
    )


def _partitions(dataset: Dataset | None) -> Item:
    how = (
        "Patients are in one split only: cxrlt merge splits by patient, or keeps official splits and refuses a patient in two."
    )
    if dataset is None:
        return Item("Assignment and size", [how, "The dataset of the training is no longer there: its size is not known."])
    rows = [_split_row(dataset, name) for name in SPLITS if (dataset.table["split"] == name).any()]
    return Item(
        "Assignment and size", [how], Table(("split", "images", "patients", "median age", "female", "no finding"), rows)
    )


def _split_row(dataset: Dataset, name: str) -> tuple[str, ...]:
    inside = (dataset.table["split"] == name).to_numpy()
    table = dataset.table[inside]
    sex = table["sex"].dropna().astype(str).str.upper().str[:1]
    ages = table["age"].dropna()
    none = ~dataset.targets[inside].astype(bool).any(axis=1)
    return (
        _SPLIT_NAMES[name],
        f"{len(table):,}",
        f"{table['patient_id'].nunique():,}" if dataset.patients_known else "unknown",
        f"{np.median(ages):.0f}" if len(ages) else "unknown",
        f"{(sex == 'F').mean():.0%}" if len(sex) else "unknown",
        f"{none.mean():.0%}",
    )
