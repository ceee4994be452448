"""Sets up a run: its state, what is constant during training, and the number of micro-batches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run_config import ComputeMode, RunConfig
from cxrlt_cli.compute.autotune import LAYOUTS, precision_of
from cxrlt_cli.compute.distributed import Ranks
from cxrlt_cli.compute.probe import compile_network, fitting_parts, least_images, training_pass
from cxrlt_cli.console import say
from cxrlt_cli.model.gradient_checkpointing import checkpoint_blocks
from cxrlt_cli.model.lora import add_low_rank
from cxrlt_cli.model.network import NetworkSpec
from cxrlt_cli.train.batch_pipeline import make_pipeline
from cxrlt_cli.train.build import make_network, make_optimizer
from cxrlt_cli.train.first_checks import refuse_few_images, refuse_small_passes
from cxrlt_cli.train.loop import Training
from cxrlt_cli.train.run_log import RunLogger
from cxrlt_cli.train.sampler import drawing_weights
from cxrlt_cli.train.settings import TrainSettings
from cxrlt_cli.train.start import Start
from cxrlt_cli.train.start_weights import load_encoder_weights, load_start, settled_weights
from cxrlt_cli.train.state import State
from cxrlt_cli.train.stored_features import refuse_other_weights, take_out_encoder
from cxrlt_cli.train.training_data import TrainingData, count_labels
from cxrlt_cli.train.weight_average import begin_average


@dataclass(frozen=True)
class Made:
    """What a run starts with.

    Attributes:
        state: before the first step.
        spec: of the network.
        encoder: weights of the encoder where it is not part of the trained network (`stored_features.take_out_encoder`).
    """

    state: State
    spec: NetworkSpec
    encoder: dict[str, Tensor]


def make_state(settings: TrainSettings, data: TrainingData, start: Start, device: torch.device) -> Made:
    """Network, optimizer and average before the first step.

    Raises:
        UserError: the images are too small for the encoder, or it is not the one that made the stored features.
    """
    mode, features = _mode(start.config), data.features
    grid = features.settings.grid if features else None
    network, spec = make_network(settings.network, data.queries, ~data.train.unseen, grid)
    weights = start.config.encoder_weights or settled_weights(settings.start)
    if not start.kept:
        load_start(weights, network)
    elif features:
        load_encoder_weights(weights, network.encoder)  # `last.pt` holds the rest
    encoder: dict[str, Tensor] = {}
    if features:
        refuse_other_weights(features, network.encoder, weights)
        encoder = take_out_encoder(network)
    if settings.tune.kind == "lora":
        add_low_rank(network.encoder, settings.tune.rank, settings.network.seed)
    network.place(device, data.size, LAYOUTS[mode.layout])
    if not features:
        network.check_size(data.size)
    scaler = torch.amp.GradScaler(device.type, enabled=mode.precision == "fp16")
    average = begin_average(settings.loop.average_spec, network)
    state = State(network, make_optimizer(settings.optimizer, network), scaler, average)
    if settings.checkpointing:
        checkpoint_blocks(network.encoder)  # after the average was copied from it
    return Made(state, spec, encoder)


def fit_memory(settings: TrainSettings, data: TrainingData, start: Start, state: State, world_size: int) -> int:
    """Number of micro-batches per rank, found by trying if `--accumulate` is 0; compiles the network if requested.

    Raises:
        UserError: fewer images per forward pass than the batch norms need, or too many for the memory.
    """
    per_rank, device = settings.loop.batch_size // world_size, next(state.network.parameters()).device
    trial = training_pass(state.network, data.input_shape, device, precision_of(_mode(start.config)))
    parts = start.config.micro_batches or settings.accumulate  # a resumed run has it in `config.json`
    joined = device.type == "cuda" and world_size > 1  # batch norms see the images of all ranks
    least = 1 if joined else least_images(state.network, settings.start.freeze == "encoder", data.input_shape, device)
    if not parts:
        parts = fitting_parts(per_rank, trial, least)
        say(f"memory holds {per_rank // parts} of the {per_rank} images of a step: {parts} micro-batches")
    refuse_small_passes(min(settings.loop.batch_size, len(data.train.table)), world_size, parts, least)
    if settings.compile:
        compile_network(state.network, trial, per_rank // parts, device)
    return parts


def make_training(
    settings: TrainSettings, data: TrainingData, config: RunConfig, state: State, place: tuple[Run, Ranks, torch.device]
) -> Training:
    """What is constant during training. Raises UserError if a step has fewer images than ranks."""
    run, ranks, device = place
    refuse_few_images(settings.loop.batch_size, data.train, ranks.world_size)
    assert config.class_weights is not None, "a run of `cxrlt train`"
    assert config.micro_batches is not None, "found by `fit_memory`"
    counts = count_labels(data.train, config.class_weights)
    return Training(
        settings.loop,
        make_pipeline(settings.mix, settings.augment, settings.loss, counts, device),
        data.train,
        data.images(data.train),
        device,
        precision_of(_mode(config)),
        drawing_weights(settings.sampling, data.train),
        ranks,
        state.network,
        RunLogger(run, settings.log, ranks.is_rank_zero),
        config.micro_batches,
    )


def _mode(config: RunConfig) -> ComputeMode:
    assert config.compute_mode is not None, "`start_new` sets it, `resume` checks it"
    return config.compute_mode
