"""Trained networks, loaded to score images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.artifacts.pack import PACK_HINT, Pack
from cxrlt_cli.artifacts.parsing import damage_reported
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run_config import BestCheckpoint, RunConfig, read_best
from cxrlt_cli.compute.fold_batch_norms import fold_batch_norms
from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed, reason
from cxrlt_cli.model.network import Network, network_from
from cxrlt_cli.model.study_fusion import StudyFusion, fusion_from
from cxrlt_cli.predict.other_labels import with_labels


@dataclass(frozen=True)
class Member:
    """A trained network of an ensemble.

    Attributes:
        name: of its run.
        path: of its checkpoint.
        network: in evaluation mode, batch norms folded.
        classes: names.
        pixels: settings of the images that it was trained on.
        order: (C,) indices of its outputs in the order of the first member's classes.
        config: of the run.
        weight: in the ensemble; only ratios matter.
        fusion: of the label features of a study's images; None if it scores single images.
        compiled: the compiled forward pass for one batch size, to label features if there is a fusion; None without --compile.
        pass_size: images of a compiled forward pass.
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
    compiled: Callable[[Tensor], Tensor] | None = None
    pass_size: int = 0


def load_members(
    runs: list[Run], device: torch.device, weights: list[float] | None = None, labels: Path | None = None
) -> list[Member]:
    """Loads the best weights of runs.

    Args:
        runs: their folders.
        device: of the networks.
        weights: of the runs in the ensemble; None for equal weights.
        labels: a CSV with the labels to score instead of the trained ones.

    Raises:
        UserError: a checkpoint is missing, damaged, not written by cxrlt, has other classes or pixels than the first, or cannot
            score other labels.
    """
    members: list[Member] = []
    for run, weight in zip(runs, weights or [1.0] * len(runs), strict=True):
        best = read_best(run)
        if labels:
            best = with_labels(best, run.best, labels)
        members.append(_member((run.folder.name, run.best, weight), best, members, device))
    return members


def packed_members(pack: Pack, path: Path, device: torch.device, labels: Path | None = None) -> list[Member]:
    """The networks of a pack.

    Args:
        pack: its content.
        path: its file.
        device: to which.
        labels: as of `load_members`.

    Raises:
        UserError: the architecture and the weights do not fit each other, the runs are of other classes or pixels than the
            first, or it cannot score other labels.
    """
    members: list[Member] = []
    with damage_reported(path, PACK_HINT):  # an architecture from anywhere makes libraries raise nearly anything
        for run in pack.runs:
            best = with_labels(run.checkpoint, path, labels) if labels else run.checkpoint
            members.append(_member((run.name, path, run.weight), best, members, device))
    return members


def _member(own: tuple[str, Path, float], best: BestCheckpoint, members: list[Member], device: torch.device) -> Member:
    """The network of a checkpoint.

    Args:
        own: name of the run, file, weight in the ensemble.
        best: the checkpoint.
        members: those before it, whose classes and pixels it must have.
        device: to which.
    """
    name, path, weight = own
    network = network_from(best.content, path).eval()
    fold_batch_norms(network.encoder)
    network.place(device, int(best.pixels["size"]))
    classes = best.classes
    first = members[0] if members else None
    if first and set(first.classes) != set(classes):
        other = sorted(set(first.classes) ^ set(classes))
        raise UserError(f"{path} and {first.path} are of other classes: {listed(other)}", "an ensemble has one label space")
    if first and first.pixels != best.pixels:
        text = f"{path} learned from pixels {best.pixels}, {first.path} from {first.pixels}"
        raise UserError(text, "an ensemble reads one kind of pixels: predict with each alone")
    order = np.array([classes.index(known) for known in (first.classes if first else classes)])
    fusion = fusion_from(best.content, network, path, device)
    return Member(name, path, network, classes, best.pixels, order, best.config, weight, fusion)


def compile_members(members: list[Member], count: int, precision: torch.dtype) -> list[Member]:
    """The members with forward passes compiled for `count` images; if that fails, a warning, and the members unchanged."""
    compiled = []
    for member in members:
        forward = _compiled(member)
        size = int(member.pixels["size"])
        device = next(member.network.parameters()).device
        try:
            with torch.inference_mode(), torch.autocast(device.type, precision, enabled=precision != torch.float32):
                forward(torch.zeros(count, 1, size, size, device=device))
        except Exception as error:  # noqa: BLE001 - a compiler fails in more ways than can be named; without it all works
            warn(f"--compile failed ({reason(error)}); continuing without it")
            return members
        compiled.append(replace(member, compiled=forward, pass_size=count))
    return compiled


def _compiled(member: Member) -> Callable[[Tensor], Tensor]:
    network, on_gpu = member.network, next(member.network.parameters()).device.type == "cuda"
    forward = network.label_features if member.fusion else network.forward
    call = torch.compile(forward, mode="reduce-overhead" if on_gpu else None, dynamic=False)
    return lambda images: call(images).clone()  # a CUDA graph writes its next output to the same memory
