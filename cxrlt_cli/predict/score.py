"""One or several trained networks that score images."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cxrlt_cli.data.augment import to_unit
from cxrlt_cli.data.studies import local_codes
from cxrlt_cli.predict.members import Member
from cxrlt_cli.predict.merge import merge_logits
from cxrlt_cli.predict.tta import View, normalised_views


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


def images_per_pass(batch_size: int, views: int) -> int:
    """Images of a forward pass over `views` views of a batch: as many as the batch has, rounded up to whole images."""
    return -(-batch_size // views) * views


def _logits(member: Member, images: Tensor, views: tuple[View, ...], studies: np.ndarray | None) -> np.ndarray:
    """(views, B, C) of (B, S, S) uint8 images, in the order of the member's own classes."""
    if member.fusion is None:
        return np.asarray(in_views(member.compiled or member.network, images, views, member.pass_size).float().cpu().numpy())
    assert studies is not None, "fused members look at whole studies"
    codes = torch.from_numpy(local_codes(studies)).to(images.device)
    features = in_views(member.compiled or member.network.label_features, images, views, member.pass_size)
    return np.stack([member.fusion(seen, codes)[codes].float().cpu().numpy() for seen in features])


def in_views(network: Callable[[Tensor], Tensor], images: Tensor, views: tuple[View, ...], pass_size: int = 0) -> Tensor:
    """The network's output for each view; a forward pass takes all views of some images, no more than about a batch.

    Args:
        network: of (N, 1, S, S) normalised images.
        images: (B, S, S) uint8.
        views: what to look at.
        pass_size: images of a pass, all views counted; the last pass is padded to it. 0: `images` decide.

    Returns:
        (views, B, ...).
    """
    parts = []
    for part in torch.split(images, (pass_size or images_per_pass(len(images), len(views))) // len(views)):
        missing = pass_size // len(views) - len(part) if pass_size else 0
        unit = to_unit(functional.pad(part, (0, 0, 0, 0, 0, missing)))
        looks = normalised_views(unit, views)
        parts.append(torch.unflatten(network(looks), 0, (len(views), len(unit)))[:, : len(part)])
    return torch.cat(parts, dim=1)
