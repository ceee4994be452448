"""`merge --hold-out`: classes that no training label names, so that scores of findings never trained on can be evaluated."""

from collections.abc import Sequence

import numpy as np

from cxrlt_cli.artifacts.dataset import HeldOut
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.labels.spaces import canonical


def held_out_columns(given: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """(C,) bool: the classes that `--hold-out` names, by name or synonym.

    Args:
        given: values of the flag: a class, or several separated by commas.
        classes: of the dataset.

    Raises:
        UserError: a class that does not exist, or no class is left to train on.
    """
    column = {canonical(name): index for index, name in enumerate(classes)}
    held = np.zeros(len(classes), dtype=bool)
    for text in given:
        names = [text] if canonical(text) in column else [name.strip() for name in text.split(",") if name.strip()]
        for name in names:
            if canonical(name) not in column:
                raise UserError(
                    f"--hold-out {name!r} is no class of the dataset{nearest(name, classes)}",
                    f"its classes are: {listed(classes, 40)}",
                )
            held[column[canonical(name)]] = True
    if held.all():
        raise UserError(f"--hold-out names all {len(classes)} classes: none is left to train on", "hold out some of them")
    return held


def hold_out(
    targets: np.ndarray, label_mask: np.ndarray, training: np.ndarray, held: np.ndarray, mode: str
) -> tuple[np.ndarray, list[int]]:
    """Makes the training labels of held-out classes unknown, in place, and says which images stay.

    Args:
        targets: (N, C) uint8, 1 or 0.
        label_mask: (N, C) bool.
        training: (N,) bool.
        held: (C,) bool.
        mode: `left-out` leaves training images out that have a held-out finding; with `unknown` they stay.

    Returns:
        (N,) bool, the images that stay; and how many training images had each held-out class.

    Raises:
        UserError: no training image is left.
    """
    positive = (targets == 1) & label_mask & training[:, None] & held
    counts = positive[:, held].sum(axis=0).tolist()
    label_mask[np.ix_(training, held)] = False
    targets[np.ix_(training, held)] = 0
    keep = np.ones(len(targets), dtype=bool) if mode == "unknown" else ~positive.any(axis=1)
    if not (keep & training).any():
        raise UserError(
            "every training image has a class of --hold-out: none is left to train on",
            "hold out fewer classes, or keep the images: --hold-out-as unknown",
        )
    return keep, counts


def report_held_out(held: HeldOut) -> None:
    """Prints the classes, how many training images had each, and what became of these images."""
    if held.classes:
        counts = (f"{name} ({held.train_positives[name]})" for name in held.classes)
        say(f"held out, training images with each: {listed(counts, 40)}")
        became = f"{held.left_out} are left out" if held.mode == "left-out" else "all stay, these labels are unknown"
        say(f"training images with one of them: {became}; validation and test keep the labels")
