"""One or several trained networks that score images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.artifacts.run import Run, read_checkpoint
from cxrlt_cli.compute.fold_batch_norms import fold_batch_norms
from cxrlt_cli.data.augment import normalise, to_unit
from cxrlt_cli.data.studies import local_codes
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.inference.merging import merge_logits
from cxrlt_cli.inference.views import View, look
from cxrlt_cli.model.network import Network, network_from
from cxrlt_cli.model.study_fusion import StudyFusion, fusion_from


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
        described: the run's `config.json`.
        weight: in the ensemble, in any unit.
        fusion: of its label features over the images of a study; None where it scores images alone.
    """

    name: str
    path: Path
    network: Network
    classes: list[str]
    pixels: dict[str, Any]
    order: np.ndarray
    described: dict[str, Any]
    weight: float = 1.0
    fusion: StudyFusion | None = None


def load_members(runs: list[Run], device: torch.device, weights: list[float] | None = None) -> list[Member]:
    """Loads the best weights of runs; `weights` are theirs in the ensemble, None for equal ones.

    Raises:
        UserError: a checkpoint is not there, damaged, not ours, or of other classes or pixels than the first.
    """
    members: list[Member] = []
    for run, weight in zip(runs, weights or [1.0] * len(runs), strict=True):
        content = read_checkpoint(run.best, ["model", "spec", "classes", "pixels", "described"])
        network = network_from(content, run.best).eval()
        fold_batch_norms(network.encoder)
        network.place(device, int(content["pixels"]["size"]))
        classes: list[str] = content["classes"]
        first = members[0] if members else None
        if first and set(first.classes) != set(classes):
            other = sorted(set(first.classes) ^ set(classes))
            raise UserError(
                f"{run.best} and {first.path} are of other classes: {listed(other)}", "an ensemble has one label space"
            )
        if first and first.pixels != content["pixels"]:
            text = f"{run.best} learned from pixels {content['pixels']}, {first.path} from {first.pixels}"
            raise UserError(text, "an ensemble reads one kind of pixels: predict with each alone")
        order = np.array([classes.index(name) for name in (first.classes if first else classes)])
        pixels, described = content["pixels"], content["described"]
        fusion = fusion_from(content, network, run.best, device)
        members.append(Member(run.folder.name, run.best, network, classes, pixels, order, described, weight, fusion))
    return members


def score(
    members: list[Member],
    views: tuple[View, ...],
    merge: str,
    images: Tensor,
    studies: np.ndarray | None = None,
    precision: torch.dtype = torch.float32,
) -> np.ndarray:
    """Scores a batch.

    Args:
        members: the networks.
        views: what to look at.
        merge: `geomean`, `mean` or `logits`, over views and members alike.
        images: (B, S, S) uint8.
        studies: (B,) the study of each, whole studies; for fused members, which give each image its study's logits.
        precision: of convolutions and products.

    Returns:
        (B, C) float32 logits in the order of the first member's classes.
    """
    images = images.to(next(members[0].network.parameters()).device, non_blocking=True)
    reduced = torch.autocast(images.device.type, precision, enabled=precision != torch.float32)
    with torch.inference_mode(), reduced:
        logits = np.concatenate([_logits(member, images, views, studies)[:, :, member.order] for member in members])
    if len(logits) == 1:
        single: np.ndarray = logits[0]
        return single
    weights = np.repeat([member.weight for member in members], len(views))
    return merge_logits(logits, merge, weights).astype(np.float32)


def _logits(member: Member, images: Tensor, views: tuple[View, ...], studies: np.ndarray | None) -> np.ndarray:
    """(views, B, C) of (B, S, S) uint8 images, in the order of the member's own classes."""
    if member.fusion is None:
        return np.asarray(_in_views(member.network, images, views).float().cpu().numpy())
    assert studies is not None, "fused members look at whole studies"
    codes = torch.from_numpy(local_codes(studies)).to(images.device)
    features = _in_views(member.network.label_features, images, views)
    return np.stack([member.fusion(seen, codes)[codes].float().cpu().numpy() for seen in features])


def _in_views(network: Callable[[Tensor], Tensor], images: Tensor, views: tuple[View, ...]) -> Tensor:
    """(views, B, ...) of what the network says; all views of some images are one batch, no larger than that of the images."""
    parts = []
    for part in torch.split(images, -(-len(images) // len(views))):
        unit = to_unit(part)
        looks = normalise(torch.cat([look(unit, view) for view in views]))
        parts.append(torch.unflatten(network(looks), 0, (len(views), len(part))))
    return torch.cat(parts, dim=1)
