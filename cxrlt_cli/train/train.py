"""The stage `train`: trains a network on a dataset and label embeddings, which gives a run."""

from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial

from cxrlt_cli.artifacts.files import refuse_existing
from cxrlt_cli.artifacts.resolve import find_features
from cxrlt_cli.artifacts.run import Run, read_status
from cxrlt_cli.compute.autotune import Workload
from cxrlt_cli.compute.device import choose_device
from cxrlt_cli.compute.distributed import join_ranks
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.console import say
from cxrlt_cli.data.dataset_images import verify_pixels
from cxrlt_cli.errors import UserError
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.options import refuse_changed, saved, select
from cxrlt_cli.paths import is_file
from cxrlt_cli.results import TrainedRun
from cxrlt_cli.signals import stop_requests, stops_at_once
from cxrlt_cli.train.checkpointing import Validator, finish_epoch
from cxrlt_cli.train.first_checks import refuse_lost_state
from cxrlt_cli.train.loop import Training, train_epochs
from cxrlt_cli.train.patience import reason_of_end
from cxrlt_cli.train.run_folder import hold_folder, kept_status
from cxrlt_cli.train.settings import (
    AugmentSettings,
    ClassWeightSettings,
    LogSettings,
    LoopSettings,
    LossSettings,
    MixSettings,
    NetworkSettings,
    OptimizerSettings,
    SamplingSettings,
    StartSettings,
    TrainSettings,
)
from cxrlt_cli.train.setup import fit_memory, make_state, make_training
from cxrlt_cli.train.start import Start, resume, start_new
from cxrlt_cli.train.state import State, load_state, save_state
from cxrlt_cli.train.stored_features import refuse_other_encoder
from cxrlt_cli.train.training_data import read_training_data
from cxrlt_cli.workspace import Workspace


def train_run(config: TrainConfig, workspace: Workspace) -> TrainedRun:
    """Trains a run, or resumes it; as one of several processes if torchrun or srun started them.

    Raises:
        UserError: bad input or output, a changed option on resuming, losses that are not finite, or a rank that was lost.
        Stopped: by SIGTERM or SIGUSR1, after the state was saved.
    """
    keep_memory()
    with join_ranks(config.rank_timeout) as ranks, stops_at_once("before the training began: there is nothing to save"):
        run = Run(workspace.runs / config.run_name)
        with ranks.fail_together():
            device = choose_device(config.device, ranks.local)
            if ranks.is_rank_zero and config.resume:
                refuse_lost_state(run)
            elif ranks.is_rank_zero:
                refuse_existing(run.folder, config.overwrite, resumable=True)
            features = find_features(config.features, workspace.features) if config.features else None
            files = config.dataset or workspace.dataset, config.embeddings or workspace.label_embeddings
            data = read_training_data(*files, features, config.fold)
            if ranks.is_rank_zero and config.verify:
                verify_pixels(data.train, data.val)
            start, settings = None, settings_of(config)
            if data.features:
                refuse_other_encoder(data.features, config.encoder, int(config.stride))
            if ranks.is_rank_zero and config.resume and is_file(run.config):
                start = resume(run, settings, data, lambda before: refuse_changed(config, before, run.folder))
            elif ranks.is_rank_zero:
                start = start_new(settings, data, workspace.runs, device, ranks.world_size)
        start = Start.from_saved(ranks.broadcast(start.saved() if start else {}))
        if start.done:
            return _finished(run)
        with ranks.fail_together():
            made = make_state(settings, data, start, device)
            state = made.state
            parts = fit_memory(settings, data, start, state, ranks.world_size)
        parts = ranks.all_reduce_max(parts)
        count = sum(parameter.numel() for parameter in state.network.parameters())
        start = replace(start, config=replace(start.config, micro_batches=parts, weight_count=count))
        with ranks.fail_together():
            training = make_training(settings, data, start.config, state, (run, ranks, device))
            validator = Validator(data.val, data.images(data.val), made.spec, start.config, made.encoder)
        _train_in_folder(run, start, training, state, validator)
    assert state.best is not None, "at least one epoch has been validated"
    best, epoch = state.best
    return TrainedRun(run.folder, run.best, epoch, best)


def _finished(run: Run) -> TrainedRun:
    """The result of a run that is finished already."""
    say(f"{run.folder} is finished: nothing to do")
    status = read_status(run)
    if status is None or status.best_epoch is None or status.best_map is None:
        raise UserError(f"{run.status} is damaged: it does not name the best epoch", "train the run again with --overwrite")
    return TrainedRun(run.folder, run.best, status.best_epoch, status.best_map)


def settings_of(config: TrainConfig) -> TrainSettings:
    """The options, divided by the parts of training."""
    return TrainSettings(
        workload=select(Workload, config),
        network=select(NetworkSettings, config),
        start=select(StartSettings, config),
        optimizer=select(OptimizerSettings, config),
        loss=select(LossSettings, config),
        class_weights=select(ClassWeightSettings, config),
        sampling=select(SamplingSettings, config),
        mix=select(MixSettings, config),
        augment=select(AugmentSettings, config),
        loop=select(LoopSettings, config),
        log=select(LogSettings, config),
        tune=config.tune_spec,
        accumulate=config.accumulate,
        checkpointing=config.checkpointing,
        compile=config.compile,
        options=saved(config),
    )


def _train_in_folder(run: Run, start: Start, training: Training, state: State, validator: Validator) -> None:
    """Locks the folder, loads the state of an earlier process if there is one, and trains."""
    ranks = training.ranks
    with ExitStack() as held:
        with ranks.fail_together():
            if ranks.is_rank_zero:
                hold_folder(held, run, start)
        if ranks.broadcast(start.kept or (start.resumed and is_file(run.last))):
            with ranks.fail_together():
                load_state(state, run.last)
            training.run_log.log(f"resumed after {state.step} steps, in epoch {state.epoch + 1}")
        unused = not state.network.encoder.torchvision  # networks of other libraries may have a head that gets no gradient
        training = replace(training, forward=ranks.parallel(state.network, training.device, unused))
        _train(run, training, state, validator)


def _train(run: Run, training: Training, state: State, validator: Validator) -> None:
    """Trains to the end or to a signal; `status.json` records which."""
    count = sum(parameter.numel() for parameter in state.network.parameters())
    ranks = f", {training.ranks.world_size} ranks" if training.ranks.world_size > 1 else ""
    training.run_log.log(
        f"{run.folder}: {validator.spec.encoder}, {count / 1e6:.1f} M weights, {len(training.dataset.table)} images, "
        f"{training.steps_an_epoch} steps an epoch, {training.device} {str(training.precision).removeprefix('torch.')}{ranks}",
    )
    training.run_log.begin(state)
    status = kept_status(run, state, training.settings) if training.ranks.is_rank_zero else nullcontext()
    with stop_requests() as stop, status:
        if not train_epochs(training, state, stop, partial(finish_epoch, run, training, state, validator, stop)):
            if training.ranks.is_rank_zero:
                save_state(state, run.last)
            training.ranks.all_reduce_max(0)  # no rank exits before rank zero has saved: srun would end rank zero too
            raise stop.stopped(f"{run.last} holds the state after {state.step} steps; continue with --resume")
    assert state.best is not None, "at least one epoch has been validated"
    best, epoch_number = state.best
    early = reason_of_end(training.settings, state)
    if early:
        training.run_log.log(early)
    training.run_log.log(f"best validation mAP {best:.4f} in epoch {epoch_number}: {run.best}")
