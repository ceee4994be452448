"""The networks of a model as one module, from 8-bit squares to logits, and its program for other tools."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cxrlt_cli.data.augment import MEAN, STD
from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.predict.members import Member


class ScoringGraph(nn.Module):
    """Squares to merged logits, with one view: what `predict.score.score` computes, in operators that can be exported."""

    weights: Tensor

    def __init__(self, members: list[Member], merge: str) -> None:
        """Takes over the members' networks, on the CPU.

        Args:
            members: the networks, none of them with a fusion.
            merge: `geomean`, `mean` or `logits`; without meaning for one member.
        """
        super().__init__()
        cpu, size = torch.device("cpu"), int(members[0].pixels["size"])
        self.networks = nn.ModuleList(member.network.place(cpu, size, torch.contiguous_format) for member in members)
        self.merge = merge
        weights = torch.tensor([member.weight for member in members], dtype=torch.float64)
        self.register_buffer("weights", (weights / weights.sum())[:, None, None])
        self.orders = [member.order.tolist() for member in members]

    def forward(self, images: Tensor) -> Tensor:
        """(B, S, S) uint8 to (B, C) float32."""
        inputs = (images.unsqueeze(1).to(torch.float32) / 255.0 - MEAN) / STD
        logits: list[Tensor] = [network(inputs)[:, order] for network, order in zip(self.networks, self.orders, strict=True)]
        if len(logits) == 1:
            return logits[0].float()
        return merged(torch.stack(logits), self.weights, self.merge).float()


def merged(logits: Tensor, weights: Tensor, how: str) -> Tensor:
    """The logits of `predict.merge.merge_logits`.

    Args:
        logits: (V, B, C).
        weights: (V, 1, 1) float64 that sum to 1.
        how: `geomean`, `mean` or `logits`.

    Returns:
        (B, C) float64.
    """
    x = logits.double()
    if how == "logits":
        return (weights * x).sum(dim=0)
    log_p, log_not_p = -_softplus(-x), -_softplus(x)
    if how == "mean":
        return ((weights * log_p.exp()).sum(dim=0)).log() - ((weights * log_not_p.exp()).sum(dim=0)).log()
    log_p = (weights * log_p).sum(dim=0)
    return log_p - (1 - log_p.exp()).log()


def _softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)) in elementary operators: runtimes have no softplus in float64."""
    return functional.relu(x) + (1 + (-x.abs()).exp()).log()


def program_of(graph: ScoringGraph, size: int) -> Any:
    """The program of torch.export, for any batch size. Nothing of this machine, as paths of source files, is left in it.

    Args:
        graph: in evaluation mode.
        size: side of the squares, px.

    Raises:
        UserError: torch cannot follow a network.
    """
    example = torch.zeros(2, size, size, dtype=torch.uint8)
    try:
        with torch.no_grad():
            program = torch.export.export(graph.eval(), (example,), dynamic_shapes={"images": {0: torch.export.Dim("batch")}})
    except Exception as error:  # its compiler fails in more ways than can be named
        raise UserError(
            f"torch.export cannot follow the network: {reason(error)}",
            "export a run with another --encoder, or score with cxrlt predict",
        ) from error
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)
    return program
