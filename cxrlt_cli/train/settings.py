"""The options that each part of training needs, under the same names. The stage `train` fills these classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.compute.autotune import Workload
from cxrlt_cli.config.train_grammar import AverageSpec, LossSpec, SamplingSpec, Term, TuneSpec
from cxrlt_cli.model.network import Classifier, Decoder, Queries


@dataclass(frozen=True)
class NetworkSettings:
    """The network; `seed` decides its random weights."""

    encoder: str
    drop_path: float
    stride: str
    queries: Queries
    classifier: Classifier
    decoder: Decoder
    decoder_size: dict[str, Any]
    label_attention: str
    seed: int


@dataclass(frozen=True)
class StartSettings:
    """The starting weights of the encoder; a frozen or adapted encoder (`tune`) needs trained ones."""

    encoder: str
    drop_path: float
    stride: str
    weights: str
    freeze: str
    tune: str


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW; `lr` is the peak learning rate, `encoder_lr` the factor of the encoder's."""

    lr: float
    encoder_lr: float
    layer_decay: float
    weight_decay: float
    freeze: str


@dataclass(frozen=True)
class LossSettings:
    """The loss, its class weights, and changes of targets and logits; `reweight_from` is a fraction of the training."""

    loss_spec: LossSpec
    balance: str
    label_smoothing: float
    logit_adjustment: float
    reweight_from: float


@dataclass(frozen=True)
class ClassWeightSettings:
    """The class weights of `--reweight`; `hard_from` is the run or evaluation whose AP decides which classes are hard."""

    reweight_terms: tuple[Term, ...]
    hard_from: Path | None


@dataclass(frozen=True)
class SamplingSettings:
    """Sampling of images by their labels and by their source."""

    sampling_spec: SamplingSpec
    source_weights: dict[str, float]


@dataclass(frozen=True)
class MixSettings:
    """MixUp and CutMix: the parameter of their Beta distribution, 0 is off; mosaic: the fraction of batches."""

    mixup: float
    cutmix: float
    mosaic: float
    seed: int


@dataclass(frozen=True)
class AugmentSettings:
    """Augmentation of single images; blur, noise and erasing are fractions of the images."""

    augment: str
    blur: float
    noise: float
    erasing: float
    seed: int


@dataclass(frozen=True)
class LoopSettings:
    """The training loop; `lr` is the peak learning rate, `warmup` a fraction of the steps, `patience` 0 for no early stop."""

    epochs: int
    patience: int
    batch_size: int
    lr: float
    warmup: float
    freeze: str
    average_spec: AverageSpec
    seed: int


@dataclass(frozen=True)
class LogSettings:
    """When the state is saved within an epoch, (steps, seconds), and whether TensorBoard events are written."""

    saved_every: tuple[int, float]
    tensorboard: bool


@dataclass(frozen=True)
class TrainSettings:
    """All parts. `options` is their saved form, for `config.json`."""

    workload: Workload
    network: NetworkSettings
    start: StartSettings
    optimizer: OptimizerSettings
    loss: LossSettings
    class_weights: ClassWeightSettings
    sampling: SamplingSettings
    mix: MixSettings
    augment: AugmentSettings
    loop: LoopSettings
    log: LogSettings
    tune: TuneSpec
    accumulate: int
    checkpointing: bool
    compile: bool
    options: dict[str, Any]


@dataclass(frozen=True)
class FuseSettings:
    """The training of a study fusion; `lr` is the peak learning rate."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    seed: int
