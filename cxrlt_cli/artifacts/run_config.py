"""`config.json` of a run, and `best.pt`, which holds the same record beside the weights."""

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.data_sources import DATA_SOURCES, DataSource
from cxrlt_cli.artifacts.json_files import read_json, write_json
from cxrlt_cli.artifacts.origin import Origin
from cxrlt_cli.artifacts.parsing import ClassNames, damage_reported, parse, plain, require_size, saved_as
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.run import FORMAT as CHECKPOINT
from cxrlt_cli.artifacts.run import Run, read_checkpoint, write_checkpoint
from cxrlt_cli.errors import Stopped, listed
from cxrlt_cli.paths import is_file

_PRECISIONS, _LAYOUTS = ("fp32", "bf16", "fp16"), ("channels-last", "plain")
_DAMAGED = "the run is damaged: train it again with --overwrite"
#: Options that count something; None where the default depends on others.
_COUNTS = ("epochs", "batch_size", "decoder_layers", "decoder_heads", "decoder_width", "decoder_feedforward")


@dataclass(frozen=True)
class ComputeMode:
    """Precision and memory layout of a run.

    Attributes:
        precision: fp32, bf16 or fp16, used for convolutions and matrix products.
        layout: channels-last or plain.
        images_per_s: measured speed of the encoder, forward and backward; empty if the flags left no choice.
        device: the device that was measured.
    """

    precision: str
    layout: str
    images_per_s: dict[str, float] = field(default_factory=dict)
    device: str = ""

    def __post_init__(self) -> None:
        if self.precision not in _PRECISIONS or self.layout not in _LAYOUTS:
            raise ValueError(f"precision {self.precision!r:.40} or layout {self.layout!r:.40} does not exist")

    @property
    def name(self) -> str:
        """Name for messages."""
        return f"{self.precision}, {self.layout}"


@dataclass(frozen=True)
class RunLabels:
    """The texts and the encoder of a run's label queries, with which other labels can be scored.

    Attributes:
        encoder: name, source, pooling, width and hash of the text encoder, and which of prompt and description it encoded.
        prompts: class -> the texts that were encoded.
        held_out: classes without training labels.
    """

    encoder: dict[str, Any]
    prompts: dict[str, list[str]]
    held_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RunFeatures:
    """The feature maps that a run was trained on. Scoring from pixels makes its maps in the same way.

    Attributes:
        path: of the file.
        weights_sha256: of the encoder that made them.
        grid: side of the map after pooling; 0 where it is not pooled.
        views: maps of an image.
        seed: of the augmented views.
        precision: in which the encoder computed.
    """

    path: str
    weights_sha256: str
    grid: int
    views: int
    seed: int
    precision: str


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The options of a run, and what they resolved to when it started.

    Attributes:
        options: of `cxrlt train` or `cxrlt fuse`, in their saved form (`options.saved`).
        class_weights: class -> weight in the loss; None for a fused run.
        encoder_weights: what `--weights` resolved to; None for a fused run and in versions before 0.2.
        encoder_origin: repository, revision and licence of a published encoder's weights; None for other weights.
        hard_from: where the AP of the hard classes was read; None without `--reweight hardK:F`.
        hard_classes: names of the hard classes.
        classes: class names, in the order of the network's outputs.
        pixels: settings of the cached images that the run learned from.
        label_texts: of the label queries; None for a fused run and in earlier versions.
        fold: of the dataset, held out for validation; None where the dataset's own splits are used.
        features: the stored features that it was trained on; None for a run trained on pixels.
        provenance: inputs are the dataset, then the label embeddings or, of a fused run, the checkpoint of its base; last the
            stored features.
        compute_mode: precision and memory layout; None for a fused run.
        micro_batches: parts that each batch is split into, one forward pass each.
        weight_count: number of trainable values of the network.
        data_sources: what the network learned from, also through runs whose weights it started from or whose scores are its
            pseudo-labels; None where one of them does not record it.
    """

    options: dict[str, Any]
    class_weights: dict[str, float] | None = None
    encoder_weights: str | None = None
    encoder_origin: Origin | None = None
    hard_from: str | None = None
    hard_classes: list[str] | None = None
    classes: list[str]
    pixels: dict[str, Any]
    label_texts: RunLabels | None = None
    features: RunFeatures | None = None
    fold: int | None = None
    provenance: Provenance
    compute_mode: ComputeMode | None = saved_as("form", None)
    micro_batches: int | None = saved_as("parts", None)
    weight_count: int | None = saved_as("weights", None)
    data_sources: list[DataSource] | None = None

    def __post_init__(self) -> None:
        ClassNames(self.classes)
        require_size(self.pixels, "pixels")
        strange = [name for name, value in self.options.items() if not _is_option(value)]
        if strange:
            raise ValueError(f"options.{strange[0]} is {self.options[strange[0]]!r:.60}, not the value of an option")
        counts = {f"options.{name}": self.options.get(name) for name in _COUNTS}
        for name, count in (counts | {"parts": self.micro_batches, "weights": self.weight_count}).items():
            if count is not None and (type(count) is not int or count < 1):
                raise ValueError(f"{name} is {count!r:.60}, not a whole number of 1 or more")
        if self.fold is not None and self.fold < 0:
            raise ValueError(f"fold is {self.fold}, not a whole number of 0 or more")
        weights = self.classes if self.class_weights is None else self.class_weights
        texts = self.classes if self.label_texts is None else self.label_texts.prompts
        for name, keys in (("class_weights", weights), ("label_texts", texts)):
            other = sorted(set(self.classes) ^ set(keys))
            if other:
                raise ValueError(f"{name} and classes differ in {listed(other)}")
        if self.class_weights and min(self.class_weights.values()) < 0:
            raise ValueError("class_weights has a negative weight")

    def shown_options(self) -> dict[str, str]:
        """The options as text; `--weights auto` with what it resolved to, as in `auto (imagenet)`."""
        options = {name: str(value) for name, value in self.options.items()}
        if options.get("weights") == "auto" and self.encoder_weights:
            options["weights"] = f"auto ({self.encoder_weights})"
        return options


def _is_option(value: Any) -> bool:
    """Whether JSON gives a value that a command-line option can have."""
    if isinstance(value, list):
        return all(isinstance(item, str | int | float) for item in value)
    return value is None or isinstance(value, str | int | float)


def write_run_config(run: Run, config: RunConfig) -> None:
    """Writes `config.json`. Raises UserError if the folder cannot be written to."""
    write_json(run.config, plain(config))


def read_run_config(run: Run) -> RunConfig:
    """Reads `config.json`. Raises UserError if it is not there, is damaged, or was not written by cxrlt."""
    return parse(RunConfig, read_json(run.config), run.config, _DAMAGED)


def refuse_damaged_config(run: Run) -> None:
    """Raises UserError if a run's `config.json` is there and damaged; scoring needs only `best.pt`."""
    if is_file(run.config):
        read_run_config(run)


@dataclass(frozen=True)
class BestCheckpoint:
    """`best.pt`: the weights of the best epoch, and what scoring needs besides.

    Attributes:
        spec: architecture, the saved form of `model.network.NetworkSpec`.
        classes: class names, in the order of the outputs.
        pixels: settings of the cached images that the run learned from.
        epoch: counted from 1; of a fused run 0 is the mean before any step.
        model: state dict of the network.
        config: `config.json` of the run.
        fusion: state dict of the study fusion; None unless the run is fused.
    """

    spec: dict[str, Any]
    classes: list[str]
    pixels: dict[str, Any]
    epoch: int
    model: dict[str, Any]
    config: RunConfig = saved_as("described")
    fusion: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        ClassNames(self.classes)
        require_size(self.pixels, "pixels")

    @property
    def content(self) -> dict[str, Any]:
        """Keys of the file -> values, as `model.network.network_from` reads them."""
        return {**plain(self), "described": plain(self.config)}


def write_best(run: Run, best: BestCheckpoint) -> None:
    """Writes `best.pt`. Raises UserError if the folder cannot be written to."""
    write_checkpoint(run.best, best.content)


def read_best(run: Run) -> BestCheckpoint:
    """Reads `best.pt` to the CPU. Raises UserError as `read_checkpoint` does, or if a part of it is damaged."""
    path: Path = run.best
    content = read_checkpoint(path, ["model", "spec", "classes", "pixels", "described"])
    return parse(BestCheckpoint, content, path, _DAMAGED)


def data_sources_of_file(path: Path) -> list[DataSource] | None:
    """What a run learned from, by its `best.pt` or the weights of a pack, of any name. Nothing for files of another origin."""
    import torch

    if path.suffix == ".safetensors":
        return _data_sources_of_safetensors(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, about unusual files
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Stopped:
        raise
    except Exception:  # noqa: BLE001 - weights of any origin; loading them gives the message
        return []
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT:
        return []
    return parse(_Described, content, path, _DAMAGED).config.data_sources


def _data_sources_of_safetensors(path: Path) -> list[DataSource] | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            found = (file.metadata() or {}).get(DATA_SOURCES)
    except (SafetensorError, OSError):  # loading them gives the message
        return []
    if found is None:
        return []
    with damage_reported(path, _DAMAGED):
        return parse(_SourcesOnly, {"data_sources": json.loads(found)}, path, _DAMAGED).data_sources


@dataclass(frozen=True)
class _SourcesOnly:
    data_sources: list[DataSource] | None = None


@dataclass(frozen=True)
class _Described:
    """The part of a checkpoint that says what it learned from; `last.pt` has none."""

    config: _SourcesOnly = saved_as("described", _SourcesOnly())
