"""The whole network, and how it is built again from a checkpoint."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.model.decoder import DecoderSize, LabelQueryDecoder, SeparateClassifiers
from cxrlt_cli.model.encoder import EncoderName, VisualEncoder


@dataclass(frozen=True)
class NetworkSpec:
    """What decides the shape of a network: plain values that a checkpoint keeps."""

    encoder: EncoderName
    classes: int
    embedding: int
    decoder: DecoderSize

    def saved(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class Network(nn.Module):
    """Image to one logit a label: visual encoder, label-query decoder, separate classifiers."""

    def __init__(self, spec: NetworkSpec, queries: Tensor) -> None:
        """Builds the network with random weights; `queries` are the (C, D) label embeddings."""
        super().__init__()
        self.encoder = VisualEncoder(spec.encoder)
        self.decoder = LabelQueryDecoder(self.encoder.channels, queries, spec.decoder)
        self.classifier = SeparateClassifiers(spec.classes, spec.decoder.width)
        self.layout = torch.contiguous_format

    def place(self, device: torch.device, size: int) -> "Network":
        """Moves the network to a device, in the memory layout that is fastest there for images of `size` px.

        Channels-last is faster on GPUs, and on CPUs for large images; for small ones the plain layout is (ResNet-18, two
        cores, training: 0.8 of its images/s at 64 px, the same at 96 px, 1.15 of them at 128 px).
        """
        self.layout = torch.channels_last if device.type == "cuda" or size >= 112 else torch.contiguous_format
        return self.to(device, memory_format=self.layout)  # type: ignore[call-overload,no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) normalised images to (B, C) logits."""
        logits: Tensor = self.classifier(self.decoder(self.encoder(images.contiguous(memory_format=self.layout))))
        return logits


def network_from(checkpoint: dict[str, Any], path: Path) -> Network:
    """Builds the network of a checkpoint and loads its weights.

    Raises:
        UserError: the shape it describes is none of ours, or its weights do not fit it.
    """
    hint = "the checkpoint is damaged or of another version of cxrlt: train it again"
    try:
        saved = checkpoint["spec"]
        spec = NetworkSpec(saved["encoder"], saved["classes"], saved["embedding"], DecoderSize(**saved["decoder"]))
        if spec.encoder not in get_args(EncoderName) or spec.classes != len(checkpoint["classes"]):
            raise ValueError("unknown encoder, or another number of classes")
        network = Network(spec, torch.zeros(spec.classes, spec.embedding))
        network.load_state_dict(checkpoint["model"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: its weights do not fit: {reason(error)}", hint) from error
    return network
