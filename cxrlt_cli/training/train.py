"""The stage `train`: from a dataset and label embeddings to a run."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.embeddings import read_embeddings
from cxrlt_cli.artifacts.files import check_writable, exclusive, refuse_existing
from cxrlt_cli.artifacts.predictions import Predictions, write_predictions
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.replaced import replaced
from cxrlt_cli.artifacts.run import Run, read_json, write_checkpoint, write_history, write_json, write_status
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.console import dated, say, warn
from cxrlt_cli.data.images import DatasetImages
from cxrlt_cli.errors import Stopped, UserError, listed, reported_os_errors
from cxrlt_cli.model.network import NetworkSpec
from cxrlt_cli.options import refuse_changed, saved
from cxrlt_cli.signals import StopRequest, stop_requests
from cxrlt_cli.training.averaging import begin_average
from cxrlt_cli.training.hard_classes import development_ap
from cxrlt_cli.training.loop import Training, train_epochs
from cxrlt_cli.training.losses import Counts
from cxrlt_cli.training.recipe import choose_device, choose_precision, make_network, make_optimizer, make_recipe
from cxrlt_cli.training.reweight import class_weights, hardest, parse_reweight
from cxrlt_cli.training.sampling import drawing_weights
from cxrlt_cli.training.state import State, load_state, save_state
from cxrlt_cli.training.validate import Validation, validate
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class _Sources:
    """What a run learns from: the splits, the (C, D) label embeddings, and where they were read."""

    train: Dataset
    val: Dataset
    queries: np.ndarray
    inputs: list[Path]


def train_run(config: TrainConfig, workspace: Workspace) -> None:
    """Trains a run, or goes on with it.

    Raises:
        UserError: bad input or output, a changed option on resuming, or a loss that is not finite.
        Stopped: by SIGTERM or SIGUSR1, after the state was saved.
    """
    run = Run(workspace.runs / config.run_name)
    if not config.resume:
        refuse_existing(run.folder, config.overwrite, resumable=True)
    device = choose_device(config.device)
    sources = _read_sources(config, workspace)
    begun = config.resume and run.config.is_file()
    described = read_json(run.config) if begun else _describe(config, workspace, sources)
    if begun:
        _refuse_changed(config, described, run, sources)
        if run.status.is_file() and read_json(run.status).get("state") == "done":
            say(f"{run.folder} is finished: nothing to do")
            return
    network, spec = make_network(config, sources.queries)
    network.place(device, int(sources.train.settings["size"])).check_size(int(sources.train.settings["size"]))
    precision = choose_precision(config.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
    state = State(network, make_optimizer(config, network), scaler, begin_average(config, network))
    recipe = make_recipe(config, _counts(sources.train, described), device)
    sampling = drawing_weights(config, sources.train)
    training = Training(config, recipe, sources.train, DatasetImages(sources.train), device, precision, sampling)
    check_writable(run.folder)
    validator = _Validator(sources.val, DatasetImages(sources.val), spec, config, described)
    with exclusive(run.folder / ".lock"), nullcontext() if begun else replaced(run.folder, run.files, run.last):
        _prepare(run, begun, described, state)
        _train(run, training, state, validator)


def _counts(train: Dataset, described: dict[str, Any]) -> Counts:
    weights = [described["class_weights"][name] for name in train.classes]
    positives, known = train.targets.sum(axis=0, dtype=np.int64), train.known.sum(axis=0)
    return Counts(torch.from_numpy(positives), torch.from_numpy(known), torch.tensor(weights, dtype=torch.float64))


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
    """`config.json`: the options, and what they came to: class weights are settled once, when the run begins."""
    train, terms = sources.train, parse_reweight(config.reweight)
    ap: dict[str, float] = {}
    facts: dict[str, Any] = {}
    hard = max((term.count for term in terms if term.kind == "hard"), default=0)
    if hard:
        ap, where = development_ap(config.hard_from, workspace.runs, train.classes)
        facts = {"hard_from": str(where), "hard_classes": hardest(hard, train.classes, ap)}
        say(f"hard classes, by the validation AP in {where}: {', '.join(facts['hard_classes'])}")
    weights = class_weights(terms, train.classes, train.targets.sum(axis=0, dtype=np.int64), train.known.sum(axis=0), ap)
    return {
        "options": saved(config),
        "class_weights": dict(zip(train.classes, weights.tolist(), strict=True)),
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


def _prepare(run: Run, begun: bool, described: dict[str, Any], state: State) -> None:
    """Makes the folder ready: the state of a run to go on with, or an empty one."""
    if begun and run.last.is_file():
        load_state(state, run.last)
        _log(run, f"going on after {state.step} steps, in epoch {state.epoch + 1}")
        return
    write_json(run.config, described)


def _log(run: Run, text: str) -> None:
    say(text)
    with reported_os_errors(f"cannot write {run.log}"), run.log.open("a") as file:
        file.write(dated(text) + "\n")


@dataclass(frozen=True)
class _Validator:
    """What validation and the two checkpoints need beside the state."""

    dataset: Dataset
    images: DatasetImages
    spec: NetworkSpec
    config: TrainConfig
    described: dict[str, Any]


def _train(run: Run, training: Training, state: State, validator: _Validator) -> None:
    """Trains to the end or to a signal; `status.json` always says which."""
    count = sum(parameter.numel() for parameter in state.network.parameters())
    _log(
        run,
        f"{run.folder}: {training.config.encoder}, {count / 1e6:.1f} M weights, {len(training.dataset.table)} images, "
        f"{training.steps_an_epoch} steps an epoch, {training.device} {str(training.precision).removeprefix('torch.')}",
    )
    with _status(run, state), stop_requests() as stop:
        train_epochs(training, state, stop, partial(_finish_epoch, run, training, state, validator))
        if stop and state.epoch < training.config.epochs:
            _save_stopped(run, state, stop)
    best, epoch_number = _best(state)
    _log(run, f"best validation mAP {best:.4f} in epoch {epoch_number}: {run.best}")


def _best(state: State) -> tuple[float, int]:
    assert state.best is not None, "at least one epoch has been validated"
    return state.best


def _save_stopped(run: Run, state: State, stop: StopRequest) -> None:
    save_state(state, run.last)
    raise stop.stopped(f"{run.last} keeps all after {state.step} steps; go on with --resume")


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
    best, epoch = _best(state)
    write_status(run, "done", epoch=state.epoch, step=state.step, best_epoch=epoch, best_mAP=best)


def _finish_epoch(run: Run, training: Training, state: State, validator: _Validator, loss: float) -> None:
    """Validates and saves; `last.pt` comes last: a kill before it repeats the epoch, and writes the same again."""
    validation = validate(state.judged, validator.dataset, validator.images, training.config.batch_size, training.device)
    ap = {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(validator.dataset.classes, validation.ap, strict=True)
    }
    entry = {"epoch": state.epoch, "step": state.step, "train_loss": loss, "val_loss": validation.loss}
    state.history.append({**entry, "mAP": validation.mean_ap, "ap": ap})
    if state.best is None or validation.mean_ap > state.best[0]:
        state.best = (validation.mean_ap, state.epoch)
        _save_best(run, state, validator, validation)
    write_history(run, state.history)
    save_state(state, run.last)
    write_status(run, "running", epoch=state.epoch, step=state.step)
    best = " (best)" if _best(state)[1] == state.epoch else ""
    losses = f"loss {loss:.4f}, validation loss {validation.loss:.4f}"
    _log(run, f"epoch {state.epoch}/{training.config.epochs}: {losses}, validation mAP {validation.mean_ap:.4f}{best}")


def _save_best(run: Run, state: State, validator: _Validator, validation: Validation) -> None:
    dataset = validator.dataset
    content = {"spec": validator.spec.saved(), "classes": dataset.classes, "pixels": dataset.settings, "epoch": state.epoch}
    model = {name: tensor.detach().cpu() for name, tensor in state.judged.state_dict().items()}
    write_checkpoint(run.best, {**content, "model": model, "described": validator.described})
    header = {"runs": [run.folder.name], "epoch": state.epoch, "split": "val", "views": 1, "merge": "none"}
    header["provenance"] = validator.described["provenance"]
    write_predictions(run.validation, Predictions(list(dataset.table["image_id"]), dataset.classes, validation.logits, header))
