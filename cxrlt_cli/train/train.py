"""The stage `train`: from a dataset and label embeddings to a run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrlt_cli.artifacts.backup import replaced
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.embeddings import read_embeddings
from cxrlt_cli.artifacts.files import check_writable, exclusive, refuse_existing
from cxrlt_cli.artifacts.json_files import read_json, write_json
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.run import Run, write_status
from cxrlt_cli.compute.autotune import LAYOUTS, choose_compute_mode, compute_mode_of, precision_of, saved_compute_mode
from cxrlt_cli.compute.device import choose_device
from cxrlt_cli.compute.distributed import Ranks, join_ranks
from cxrlt_cli.compute.probe import Pass, compile_network, fitting_parts, training_pass
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.console import say, warn
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.errors import Stopped, UserError, listed
from cxrlt_cli.machine import keep_memory
from cxrlt_cli.model.gradient_checkpointing import checkpoint_blocks
from cxrlt_cli.model.network import NetworkSpec
from cxrlt_cli.options import refuse_changed, saved
from cxrlt_cli.paths import is_file
from cxrlt_cli.signals import stop_requests, stops_at_once
from cxrlt_cli.train.batch_pipeline import make_recipe
from cxrlt_cli.train.build import make_network, make_optimizer, workload_of
from cxrlt_cli.train.checkpointing import Validator, finish_epoch
from cxrlt_cli.train.class_weights import class_weights, hardest
from cxrlt_cli.train.first_checks import refuse_few_images, refuse_what_cannot_start
from cxrlt_cli.train.hard_classes import development_ap
from cxrlt_cli.train.loop import Training, train_epochs
from cxrlt_cli.train.loss import Counts
from cxrlt_cli.train.run_log import RunLogger
from cxrlt_cli.train.sampler import drawing_weights
from cxrlt_cli.train.start_weights import load_start, settled_weights
from cxrlt_cli.train.state import State, load_state, save_state
from cxrlt_cli.train.weight_average import begin_average
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class _Sources:
    """What a run learns from: the splits, the (C, D) label embeddings, and where they were read."""

    train: Dataset
    val: Dataset
    queries: np.ndarray
    inputs: list[Path]


@dataclass(frozen=True)
class _Start:
    """How a run begins.

    Attributes:
        described: its `config.json`.
        begun: whether `config.json` is of an earlier process.
        kept: whether `last.pt` keeps the state of an earlier process, so that `--weights` are not loaded again.
        done: whether it is finished.
    """

    described: dict[str, Any]
    begun: bool
    kept: bool
    done: bool


def train_run(config: TrainConfig, workspace: Workspace) -> None:
    """Trains a run, or goes on with it; as one of several processes where torchrun or srun started them.

    Raises:
        UserError: bad input or output, a changed option on resuming, losses that are not finite, or a rank that was lost.
        Stopped: by SIGTERM or SIGUSR1, after the state was saved.
    """
    keep_memory()
    with join_ranks(config.rank_timeout) as ranks, stops_at_once("before the training began: there is nothing to save"):
        _train_as(ranks, config, workspace)


def _train_as(ranks: Ranks, config: TrainConfig, workspace: Workspace) -> None:
    run = Run(workspace.runs / config.run_name)
    with ranks.fail_together():
        device = choose_device(config.device, ranks.local)
        start = None
        if ranks.is_rank_zero and not config.resume:
            refuse_existing(run.folder, config.overwrite, resumable=True)
        sources = _read_sources(config, workspace)
        if ranks.is_rank_zero:
            start = _start(config, workspace, run, sources, (device, ranks.world_size))
    start = ranks.broadcast(start)
    assert start is not None, "rank 0 has one"
    if start.done:
        say(f"{run.folder} is finished: nothing to do")
        return
    with ranks.fail_together():
        state, spec = _make_state(config, sources, device, start)
        share, size = config.batch_size // ranks.world_size, int(sources.train.settings["size"])
        tried = training_pass(state.network, size, device, precision_of(compute_mode_of(start.described)))
        parts = _parts(config, start.described, share, tried)
        if config.compile:
            compile_network(state.network, tried, share // parts, device)
    start.described["parts"] = ranks.all_reduce_max(parts)
    start.described["weights"] = sum(parameter.numel() for parameter in state.network.parameters())
    with ranks.fail_together():
        training = _make_training(config, sources, start, state, (run, ranks, device))
        validator = Validator(sources.val, DatasetImages(sources.val), spec, config, start.described)
    with ExitStack() as held:
        with ranks.fail_together():
            if ranks.is_rank_zero:
                _hold(held, run, start)
        if ranks.broadcast(start.kept or (start.begun and is_file(run.last))):
            with ranks.fail_together():
                load_state(state, run.last)
            training.run_log.log(f"going on after {state.step} steps, in epoch {state.epoch + 1}")
        unused = config.encoder.startswith("timm:")  # its networks may bring a head that features do not go through
        training = replace(training, forward=ranks.parallel(state.network, device, unused))
        _train(run, training, state, validator)


def _start(config: TrainConfig, workspace: Workspace, run: Run, sources: _Sources, place: tuple[torch.device, int]) -> _Start:
    if not (config.resume and is_file(run.config)):
        device, ranks = place
        described = _describe(config, workspace, sources)
        refuse_what_cannot_start(config, described["encoder_weights"], sources.train, ranks)
        size = int(sources.train.settings["size"])
        workload = workload_of(config)
        form = saved_compute_mode(workspace.runs, workload, size, device) or choose_compute_mode(workload, size, device)
        return _Start({**described, "form": form.saved()}, begun=False, kept=False, done=False)
    described = read_json(run.config)
    _refuse_changed(config, described, run, sources)
    done = is_file(run.status) and read_json(run.status).get("state") == "done"
    return _Start(described, True, is_file(run.last), done)


def _make_state(config: TrainConfig, sources: _Sources, device: torch.device, start: _Start) -> tuple[State, NetworkSpec]:
    form = compute_mode_of(start.described)
    network, spec = make_network(config, sources.queries)
    if not start.kept:
        load_start(start.described["encoder_weights"], network)
    size = int(sources.train.settings["size"])
    network.place(device, size, LAYOUTS[form.layout]).check_size(size)
    scaler = torch.amp.GradScaler(device.type, enabled=form.precision == "fp16")
    state = State(network, make_optimizer(config, network), scaler, begin_average(config, network))
    if config.checkpointing:
        checkpoint_blocks(network.encoder)  # after the average was copied
    return state, spec


def _parts(config: TrainConfig, described: dict[str, Any], share: int, tried: Pass) -> int:
    """In how many parts a rank's `share` of a batch goes through the network: a run that goes on has it from `config.json`."""
    label_mask: int = described.get("parts") or config.accumulate
    if label_mask:
        return label_mask
    found = fitting_parts(share, tried)
    say(f"memory holds {share // found} of the {share} images of a step: {found} parts")
    return found


def _make_training(
    config: TrainConfig, sources: _Sources, start: _Start, state: State, place: tuple[Run, Ranks, torch.device]
) -> Training:
    run, ranks, device = place
    train = sources.train
    refuse_few_images(config, train, ranks.world_size)
    return Training(
        config,
        make_recipe(config, _counts(train, start.described), device),
        train,
        DatasetImages(train),
        device,
        precision_of(compute_mode_of(start.described)),
        drawing_weights(config, train),
        ranks,
        state.network,
        RunLogger(run, config, ranks.is_rank_zero),
        start.described["parts"],
    )


def _hold(held: ExitStack, run: Run, start: _Start) -> None:
    """Takes the run's folder for this process alone, and makes it ready."""
    check_writable(run.folder)
    held.enter_context(exclusive(run.folder / ".lock"))
    if not start.begun:
        held.enter_context(replaced(run.folder, run.files, run.last))
    if not (start.begun and is_file(run.last)):
        write_json(run.config, start.described)


def _counts(train: Dataset, described: dict[str, Any]) -> Counts:
    weights = [described["class_weights"][name] for name in train.classes]
    positives, label_mask = train.targets.sum(axis=0, dtype=np.int64), train.label_mask.sum(axis=0)
    return Counts(torch.from_numpy(positives), torch.from_numpy(label_mask), torch.tensor(weights, dtype=torch.float64))


def _read_sources(config: TrainConfig, workspace: Workspace) -> _Sources:
    dataset_path, embeddings_path = config.dataset or workspace.dataset, config.embeddings or workspace.label_embeddings
    dataset = read_dataset(dataset_path)
    queries = read_embeddings(embeddings_path).of(dataset.classes, embeddings_path)
    train, val = dataset.split("train"), dataset.split("val")
    for split, name in ((train, "train"), (val, "val")):
        without = [label for label, positive in zip(dataset.classes, split.targets.max(axis=0), strict=True) if not positive]
        if len(without) == len(dataset.classes):
            raise UserError(f"{dataset_path}: the {name} split has no positive of any class", "see: cxrlt merge --split, --map")
        if without:
            warn(f"no positive in {name}: {listed(without, 12)}")
    return _Sources(train, val, queries, [dataset_path, embeddings_path])


def _describe(config: TrainConfig, workspace: Workspace, sources: _Sources) -> dict[str, Any]:
    """`config.json`: the options, and what they came to when the run began: the class weights and the encoder's weights."""
    train, terms = sources.train, config.reweight_terms
    ap: dict[str, float] = {}
    facts: dict[str, Any] = {}
    hard = max((term.count for term in terms if term.kind == "hard"), default=0)
    if hard:
        ap, where = development_ap(config.hard_from, workspace.runs, train.classes)
        facts = {"hard_from": str(where), "hard_classes": hardest(hard, train.classes, ap)}
        say(f"hard classes, by the validation AP in {where}: {', '.join(facts['hard_classes'])}")
    weights = class_weights(terms, train.classes, train.targets.sum(axis=0, dtype=np.int64), train.label_mask.sum(axis=0), ap)
    return {
        "options": saved(config),
        "class_weights": dict(zip(train.classes, weights.tolist(), strict=True)),
        "encoder_weights": settled_weights(config),
        **facts,
        "classes": train.classes,
        "pixels": train.settings,
        "provenance": record(saved(config), sources.inputs),
    }


def _refuse_changed(config: TrainConfig, described: dict[str, Any], run: Run, sources: _Sources) -> None:
    if {"options", "class_weights", "provenance"} - set(described):
        raise UserError(f"{run.config} was not written by cxrlt train", "begin again with --overwrite, or give another --name")
    refuse_changed(config, described["options"], run.folder)
    now = record({}, sources.inputs)["inputs"]
    before = described["provenance"]["inputs"]
    changed = [new["path"] for old, new in zip(before, now, strict=True) if old["sha256"] != new["sha256"]]
    if changed:
        raise UserError(
            f"{run.folder} was begun with another {' and '.join(changed)}", "restore it, or begin again with --overwrite"
        )


def _train(run: Run, training: Training, state: State, validator: Validator) -> None:
    """Trains to the end or to a signal; `status.json` always says which."""
    count = sum(parameter.numel() for parameter in state.network.parameters())
    ranks = f", {training.ranks.world_size} ranks" if training.ranks.world_size > 1 else ""
    training.run_log.log(
        f"{run.folder}: {training.config.encoder}, {count / 1e6:.1f} M weights, {len(training.dataset.table)} images, "
        f"{training.steps_an_epoch} steps an epoch, {training.device} {str(training.precision).removeprefix('torch.')}{ranks}",
    )
    training.run_log.begin(state)
    with stop_requests() as stop, _status(run, state) if training.ranks.is_rank_zero else nullcontext():
        if not train_epochs(training, state, stop, partial(finish_epoch, run, training, state, validator, stop)):
            if training.ranks.is_rank_zero:
                save_state(state, run.last)
            training.ranks.all_reduce_max(0)  # none ends before the first has saved: srun would end that one too
            raise stop.stopped(f"{run.last} keeps all after {state.step} steps; go on with --resume")
    assert state.best is not None, "at least one epoch has been validated"
    best, epoch_number = state.best
    training.run_log.log(f"best validation mAP {best:.4f} in epoch {epoch_number}: {run.best}")


@contextmanager
def _status(run: Run, state: State) -> Iterator[None]:
    """Keeps `status.json`: running, then how it ended."""
    write_status(run, "running", epoch=state.epoch, step=state.step)
    try:
        yield
    except Stopped as stop:
        write_status(run, "stopped", epoch=state.epoch, step=state.step, reason=stop.message)
        raise
    except BaseException as error:
        write_status(run, "failed", epoch=state.epoch, step=state.step, reason=f"{type(error).__name__}: {error}")
        raise
    assert state.best is not None, "at least one epoch has been validated"
    best, epoch = state.best
    write_status(run, "done", epoch=state.epoch, step=state.step, best_epoch=epoch, best_mAP=best)
