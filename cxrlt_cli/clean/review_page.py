"""The page on which a reviewer checks labels: one HTML file, opened from disk."""

import hashlib
from typing import Any

import numpy as np
import torch

from cxrlt_cli import __version__
from cxrlt_cli.artifacts.corrections import COLUMNS, Correction
from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.clean.neighbours import neighbours
from cxrlt_cli.console import warn
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.errors import UserError
from cxrlt_cli.explain.inline import inline_overlay, inline_picture
from cxrlt_cli.predict.members import Member, load_members
from cxrlt_cli.report.page import fill, own_text
from cxrlt_cli.scores.labelled import Scored, scored_part

_SIDE, _SMALL = 512, 128  # px of the picture, and of a neighbour's
_EACH = 2  # neighbours of either label


def review_page(title: str, rows: str, corrections: list[Correction], scored: Scored, pictures: "Pictures | None") -> str:
    """The page as HTML.

    Args:
        title: name of the result.
        rows: text of `corrections.csv`; the browser keeps progress under its checksum.
        corrections: the labels to check.
        scored: the scores and labels in which they were found.
        pictures: of the scored images; None if the dataset has none.
    """
    place = {name: number for number, name in enumerate(scored.table["image_id"])}
    content = {
        "title": title,
        "key": hashlib.sha256(rows.encode()).hexdigest()[:16],
        "columns": COLUMNS,
        "cells": [_cell(one, place[one.image], scored, pictures) for one in corrections],
        "split": scored.split,
        "runs": scored.header.runs,
        "pictures": pictures is not None,
        "version": __version__,
    }
    style = own_text("cxrlt_cli.report", "page.css") + "\n" + own_text("cxrlt_cli.clean", "review.css")
    return fill("cxrlt_cli.clean", "review.html.j2", content, style, "review.js")


class Pictures:
    """Pictures of the scored images, and the network that explains them."""

    def __init__(self, dataset: Dataset, scored: Scored, members: dict[int | None, Member]) -> None:
        """Opens the image files.

        Args:
            dataset: with the pixels.
            scored: its rows are those of the pictures.
            members: fold -> the network that held it out; None -> the network for scores that are not out of fold. Images
                without one have no map.

        Raises:
            UserError: the pixels cannot be read.
        """
        self._images = DatasetImages(scored_part(dataset, scored.split, scored.header))
        self._members = members
        self._folds = scored.table["fold"].tolist() if scored.header.out_of_fold else None

    def shown(self, row: int, label: str) -> dict[str, Any]:
        """The picture of a row, and the map of a label over it."""
        gray = self._images.read(np.array([row]))[0]
        member = self._members.get(self._folds[row] if self._folds else None)
        return {"picture": inline_picture(gray, _SIDE), **inline_overlay(member, gray, label, "attribution")}

    def small(self, row: int) -> str:
        """A small picture of a row."""
        return inline_picture(self._images.read(np.array([row]))[0], _SMALL)


def open_pictures(dataset: Dataset, scored: Scored, runs: list[Run], device: torch.device) -> Pictures | None:
    """The pictures, with maps of the first run that can be loaded; None, with a warning, if the pixels cannot be read.

    Out of fold, an image is explained by a run that did not train on its patient.

    Args:
        dataset: with the pixels.
        scored: its rows are those of the pictures.
        runs: those of the scores that are there.
        device: of the networks.
    """
    try:
        loaded = load_members(runs if scored.header.out_of_fold else runs[:1], device)
    except UserError as error:
        warn(f"no maps in the page: {error.message}")
        loaded = []
    own = [member for member in reversed(loaded) if member.pixels == dataset.settings]  # the first run of a fold wins
    try:
        return Pictures(dataset, scored, {member.config.fold if scored.header.out_of_fold else None: member for member in own})
    except UserError as error:
        warn(f"no pictures in the page: {error.message}")
        return None


def _cell(one: Correction, row: int, scored: Scored, pictures: Pictures | None) -> dict[str, Any]:
    c = scored.classes.index(one.label)
    others = scored.label_mask[row] & (scored.targets[row] == 1)
    return {
        "rank": one.rank,
        "image": one.image,
        "label": one.label,
        "given": one.given,
        "suggested": one.suggested,
        "score": f"{one.score:.6g}",
        "present": one.score if one.given == 1 else 1 - one.score,
        "others": [scored.classes[k] for k in np.flatnonzero(others) if k != c],
        "shown": pictures.shown(row, one.label) if pictures else None,
        "neighbours": _neighbours(scored, row, c, pictures) if pictures else [],
    }


def _neighbours(scored: Scored, row: int, c: int, pictures: Pictures) -> list[dict[str, Any]]:
    images, targets = scored.table["image_id"], scored.targets[:, c]
    near = neighbours(scored.logits[:, c], targets, scored.label_mask[:, c], row, _EACH)
    return [{"given": int(targets[at]), "picture": pictures.small(at), "image": str(images.iloc[at])} for at in near]
