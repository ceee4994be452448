"""Trained networks, loaded to score images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run_config import RunConfig, read_best
from cxrlt_cli.compute.fold_batch_norms import fold_batch_norms
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.model.network import Network, network_from
from cxrlt_cli.model.study_fusion import StudyFusion, fusion_from
from cxrlt_cli.predict.other_labels import with_labels


@dataclass(frozen=True)
class Member:
    """A trained network of an ensemble.

    Attributes:
        name: of its run.
        path: of its checkpoint.
        network: in evaluation form, batch norms folded.
        classes: names.
        pixels: how the images it learned from were made.
        order: (C,) its columns in the order of the first member's classes.
        config: of the run.
        weight: in the ensemble, in any unit.
        fusion: of its label features over the images of a study; None where it scores images alone.
    """

    name: str
    path: Path
    network: Network
    classes: list[str]
    pixels: dict[str, Any]
    order: np.ndarray
    config: RunConfig
    weight: float = 1.0
    fusion: StudyFusion | None = None


def load_members(
    runs: list[Run], device: torch.device, weights: list[float] | None = None, labels: Path | None = None
) -> list[Member]:
    """Loads the best weights of runs.

    Args:
        runs: their folders.
        device: to which.
        weights: of the runs in the ensemble, None for equal ones.
        labels: a CSV with the labels to score instead of the trained ones.

    Raises:
        UserError: a checkpoint is not there, damaged, not ours, of other classes or pixels than the first, or it cannot score
            other labels.
    """
    members: list[Member] = []
    for run, weight in zip(runs, weights or [1.0] * len(runs), strict=True):
        best = read_best(run)
        if labels:
            best = with_labels(best, run.best, labels)
        network = network_from(best.content, run.best).eval()
        fold_batch_norms(network.encoder)
        network.place(device, int(best.pixels["size"]))
        classes = best.classes
        first = members[0] if members else None
        if first and set(first.classes) != set(classes):
            other = sorted(set(first.classes) ^ set(classes))
            raise UserError(
                f"{run.best} and {first.path} are of other classes: {listed(other)}", "an ensemble has one label space"
            )
        if first and first.pixels != best.pixels:
            text = f"{run.best} learned from pixels {best.pixels}, {first.path} from {first.pixels}"
            raise UserError(text, "an ensemble reads one kind of pixels: predict with each alone")
        order = np.array([classes.index(name) for name in (first.classes if first else classes)])
        fusion = fusion_from(best.content, network, run.best, device)
        members.append(Member(run.folder.name, run.best, network, classes, best.pixels, order, best.config, weight, fusion))
    return members
