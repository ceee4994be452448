"""The network, and how it is rebuilt from a checkpoint."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cxrlt_cli.errors import UserError, reason
from cxrlt_cli.model.classifiers import (
    ClassSpecificResidualAttention,
    PooledLinear,
    PooledMlps,
    SeparateClassifiers,
    SeparateMlps,
    SharedClassifier,
)
from cxrlt_cli.model.decoder import DecoderSize, LabelQueryDecoder
from cxrlt_cli.model.encoder import VisualEncoder
from cxrlt_cli.model.glori import Glori
from cxrlt_cli.model.label_queries import LabelQueries
from cxrlt_cli.model.stored_maps import as_stored
from cxrlt_cli.model.text_classifier import TextClassifier
from cxrlt_cli.model.transformer_decoder import EarlyTransformerLabelDecoder, TransformerLabelDecoder, start_normal
from cxrlt_cli.model.zero_weights import ZerosInsteadOfRandom

Queries = Literal["text", "tuned", "learned", "glori", "none", "csra"]
Classifier = Literal["separate", "shared", "mlp", "text"]
#: `transformer-1` is `EarlyTransformerLabelDecoder`, the decoder of runs made before 0.2.
Decoder = Literal["residual", "transformer", "transformer-1"]


@dataclass(frozen=True)
class NetworkSpec:
    """The network's architecture as plain values that a checkpoint stores."""

    encoder: str
    classes: int
    embedding: int
    decoder: DecoderSize
    queries: Queries = "text"
    classifier: Classifier = "separate"
    label_attention: bool = True
    drop_path: float = 0.0
    stride: int = 32
    kind: Decoder = "residual"
    #: Of a published encoder (`encoders.architecture`), so that prediction does not need the encoder's files.
    architecture: dict[str, Any] | None = None
    #: Of a network that was trained on stored features: side of their maps, 0 for maps that are not pooled. The encoder's maps
    #: are made as those were (`stored_maps.as_stored`).
    grid: int | None = None

    def saved(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class Network(nn.Module):
    """Image to one logit per label: visual encoder, then label-query decoder and classifiers, or a head without queries."""

    def __init__(self, spec: NetworkSpec, queries: Tensor, trained: Tensor | None = None) -> None:
        """Builds the network with random weights.

        Args:
            spec: the architecture.
            queries: (C, D) label embeddings.
            trained: (C,) bool, the labels that are trained; None for all.
        """
        super().__init__()
        self.encoder: Any = VisualEncoder(spec.encoder, spec.drop_path, spec.stride, spec.architecture)
        self.grid = spec.grid
        channels = self.encoder.channels
        self.decoder: nn.Module = nn.Identity()
        #: Length of the vectors that the classifiers take.
        self.label_width = channels
        if spec.queries in ("none", "csra"):
            self.classifier = _pooled_classifier(spec, channels)
        elif spec.queries == "glori":
            self.decoder = Glori(channels, spec.classes, spec.decoder)
            self.label_width = self.decoder.width
            self.classifier = SeparateClassifiers(spec.classes, self.label_width)
            nn.init.xavier_normal_(self.classifier.weight)
            nn.init.zeros_(self.classifier.bias)
        else:
            self.label_width = channels if spec.kind == "residual" else spec.decoder.width
            self._with_queries(spec, channels, queries, trained)
        self.layout = torch.contiguous_format

    def _with_queries(self, spec: NetworkSpec, channels: int, embeddings: Tensor, trained: Tensor | None) -> None:
        """Builds decoder and classifiers. The order must not change: the random weights of a seed depend on it."""
        if spec.classifier == "text":
            trained = torch.ones(spec.classes, dtype=torch.bool) if trained is None else trained
            queries = LabelQueries(embeddings, spec.queries, trained=trained)
            self.decoder = _decoder(spec, channels, queries)
            self.classifier = TextClassifier(self.label_width, queries)
        elif spec.kind == "residual":  # the classifiers first, so that a seed gives the same weights as with `--queries none`
            self.classifier = _classifier(spec, channels)
            self.decoder = _decoder(spec, channels, LabelQueries(embeddings, spec.queries, spec.decoder.width))
        else:
            self.decoder = _decoder(spec, channels, LabelQueries(embeddings, spec.queries, self.label_width))
            self.classifier = _classifier(spec, self.label_width)
            if spec.kind == "transformer" and spec.classifier != "mlp":
                start_normal(self.classifier)

    def place(self, device: torch.device, size: int, layout: torch.memory_format | None = None) -> "Network":
        """Moves the network to a device in the given memory layout, by default the usual one for images of `size` px."""
        self.layout = layout or usual_layout(device, size)
        return self.to(device, memory_format=self.layout)  # type: ignore[call-overload,no-any-return]

    def check_size(self, size: int) -> None:
        """Raises UserError if the encoder does not accept images of `size` px."""
        self.encoder.check_size(size)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) normalised images to (B, C) logits."""
        return self.classify(self.encode(images))

    def encode(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) normalised images to (B, channels, h, w) features; stored maps to themselves."""
        features: Tensor = self.encoder(in_layout(images, self.layout))
        return features if self.grid is None else as_stored(features, self.grid)

    def classify(self, features: Tensor) -> Tensor:
        """(B, channels, h, w) features to (B, C) logits.

        With `--classifier text` each label is scored by itself, so that its last digits do not depend on the other labels. In
        training all are scored together, which is faster.
        """
        if isinstance(self.classifier, TextClassifier) and not self.training:
            labels = range(len(self.classifier.queries.queries))
            return torch.cat([self.classifier(self.decoder(features, label), label) for label in labels], dim=1)
        logits: Tensor = self.classifier(self.decoder(features))
        return logits

    def label_features(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) normalised images to (B, C, width) label features; image features if there are no label queries."""
        features: Tensor = self.decoder(self.encode(images))
        return features


def in_layout(images: Tensor, layout: torch.memory_format) -> Tensor:
    """Images in a memory layout.

    One channel in the channels-last layout is also contiguous. torch then takes the contiguous layout for the gradient of the
    first convolution, and copies it twice on a GPU (3 % of a training step of ResNet-50). Strides that only channels-last has
    prevent this.

    Args:
        images: (B, C, H, W).
        layout: of the network.
    """
    images = images.contiguous(memory_format=layout)
    if layout != torch.channels_last or images.shape[1] != 1 or images.device.type != "cuda":
        return images
    height, width = images.shape[2:]
    return images.as_strided(images.shape, (height * width, 1, width, 1))


def usual_layout(device: torch.device, size: int) -> torch.memory_format:
    """The memory layout that is usually fastest for images of `size` px.

    Channels-last is faster on GPUs with CUDA, and on CPUs for large images (ResNet-18, training on two cores, relative to the
    contiguous layout: 0.8 at 64 px, 1.0 at 96 px, 1.15 at 128 px).
    """
    fast = device.type == "cuda" or (device.type == "cpu" and size >= 112)
    return torch.channels_last if fast else torch.contiguous_format


def _pooled_classifier(spec: NetworkSpec, channels: int) -> nn.Module:
    """A head without label queries."""
    if spec.queries == "csra":
        return ClassSpecificResidualAttention(channels, spec.classes)
    return (PooledMlps if spec.classifier == "mlp" else PooledLinear)(channels, spec.classes)


def _decoder(spec: NetworkSpec, channels: int, queries: LabelQueries) -> nn.Module:
    if spec.kind == "residual":
        return LabelQueryDecoder(channels, queries, spec.decoder, spec.label_attention)
    kind = TransformerLabelDecoder if spec.kind == "transformer" else EarlyTransformerLabelDecoder
    return kind(channels, queries, spec.decoder, spec.label_attention)


def _classifier(spec: NetworkSpec, width: int) -> nn.Module:
    if spec.classifier == "shared":
        return SharedClassifier(width)
    return SeparateMlps(spec.classes, width) if spec.classifier == "mlp" else SeparateClassifiers(spec.classes, width)


def network_from(checkpoint: dict[str, Any], path: Path) -> Network:
    """Builds the network of a checkpoint and loads its weights.

    Raises:
        UserError: the checkpoint describes an unknown architecture, or its weights do not fit it.
    """
    hint = "the checkpoint is damaged or from another version of cxrlt: train again"
    try:
        saved = checkpoint["spec"]
        spec = NetworkSpec(**{"kind": "transformer-1", **saved, "decoder": DecoderSize(**saved["decoder"])})
        if spec.classes != len(checkpoint["classes"]):
            raise ValueError("another number of classes")
        with ZerosInsteadOfRandom():
            network = Network(spec, torch.zeros(spec.classes, spec.embedding))
        network.load_state_dict(_renamed(checkpoint["model"], spec))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: the weights do not fit the network: {reason(error)}", hint) from error
    return network


def _renamed(state: dict[str, Tensor], spec: NetworkSpec) -> dict[str, Tensor]:
    """Weights under their current names: runs made before 0.2 store the queries under another name."""
    names = {"decoder.queries": "decoder.queries.queries"} if spec.kind == "transformer-1" else {}
    return {names.get(name, name): value for name, value in state.items()}
