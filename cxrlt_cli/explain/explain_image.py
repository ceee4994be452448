"""Logits, attention maps and attribution maps of one image."""

from dataclasses import dataclass

import numpy as np
import torch

from cxrlt_cli.data.augment import normalise, to_unit
from cxrlt_cli.explain.attention import Layers, attention_map
from cxrlt_cli.explain.attribution import Method, attribution
from cxrlt_cli.predict.members import Member


@dataclass(frozen=True)
class Explained:
    """Logits and maps of one image.

    Attributes:
        logits: (C,) in the order of the network's classes.
        labels: L columns that are explained.
        attention: (L, h, w), each map summing to 1; None if the network has no queries.
        attribution: (L, h, w), 0 or more; None if it was not asked for.
    """

    logits: np.ndarray
    labels: list[int]
    attention: np.ndarray | None
    attribution: np.ndarray | None


def explain(
    member: Member, pixels: np.ndarray, labels: list[int] | None, top: int, layers: Layers, method: Method | None
) -> Explained:
    """Explains the scores of one image.

    Args:
        member: the network.
        pixels: (S, S) uint8.
        labels: columns to explain after the top ones.
        top: number of labels with the highest logits, which come first.
        layers: see `attention_map`.
        method: see `attribution`; None for no attribution.
    """
    network = member.network
    image = normalise(to_unit(torch.from_numpy(pixels).unsqueeze(0).to(next(network.parameters()).device)))
    with torch.no_grad():
        features = network.encode(image)
        logits = network.classify(features)[0].float().cpu().numpy()
    order = np.argsort(-logits, kind="stable")[:top].tolist()
    chosen = order + [label for label in dict.fromkeys(labels or []) if label not in order]
    attention = attention_map(network, features, layers)
    found = attribution(network, image, chosen, method) if method else None
    return Explained(
        logits,
        chosen,
        None if attention is None else attention[0, chosen].cpu().numpy(),
        None if found is None else found[0].cpu().numpy(),
    )
