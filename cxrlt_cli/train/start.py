"""How a run starts: described anew, or found on disk and resumed."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrlt_cli.artifacts.json_files import read_json
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.compute.autotune import choose_compute_mode, saved_compute_mode
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import is_file
from cxrlt_cli.train.class_weights import class_weights, hardest
from cxrlt_cli.train.first_checks import refuse_what_cannot_start
from cxrlt_cli.train.hard_classes import development_ap
from cxrlt_cli.train.settings import TrainSettings
from cxrlt_cli.train.start_weights import settled_weights
from cxrlt_cli.train.training_data import TrainingData


@dataclass(frozen=True)
class Start:
    """How a run starts.

    Attributes:
        described: its `config.json`.
        resumed: whether `config.json` is of an earlier process.
        kept: whether `last.pt` keeps the state of an earlier process, so that `--weights` are not loaded again.
        done: whether it is finished.
    """

    described: dict[str, Any]
    resumed: bool
    kept: bool
    done: bool


def start_new(settings: TrainSettings, data: TrainingData, runs: Path, device: torch.device, ranks: int) -> Start:
    """A run that has no `config.json` yet.

    Args:
        settings: of the training.
        data: what it learns from.
        runs: the folder of all runs, from which hard classes and an earlier measurement are taken.
        device: of this process.
        ranks: processes that train together.

    Raises:
        UserError: weights, sources or classes that are not there, or too few images.
    """
    described = _describe(settings, data, runs)
    refuse_what_cannot_start(settings, described["encoder_weights"], data.train, ranks)
    workload, size = settings.workload, data.size
    mode = saved_compute_mode(runs, workload, size, device) or choose_compute_mode(workload, size, device)
    return Start({**described, "form": mode.saved()}, resumed=False, kept=False, done=False)


def resume(run: Run, data: TrainingData, refuse_changed_options: Callable[[dict[str, Any]], None]) -> Start:
    """A run that has a `config.json`.

    Args:
        run: its folder.
        data: what it learns from now.
        refuse_changed_options: raises UserError where the saved options are not those of now.

    Raises:
        UserError: it was not written by `cxrlt train`, or was started with different options or files.
    """
    described = read_json(run.config)
    if {"options", "class_weights", "provenance"} - set(described):
        raise UserError(f"{run.config} was not written by cxrlt train", "start again with --overwrite, or give another --name")
    refuse_changed_options(described["options"])
    now = record({}, data.inputs)["inputs"]
    before = described["provenance"]["inputs"]
    changed = [new["path"] for old, new in zip(before, now, strict=True) if old["sha256"] != new["sha256"]]
    if changed:
        raise UserError(
            f"{run.folder} was started with a different {' and '.join(changed)}",
            "restore it, or start again with --overwrite",
        )
    done = is_file(run.status) and read_json(run.status).get("state") == "done"
    return Start(described, True, is_file(run.last), done)


def _describe(settings: TrainSettings, data: TrainingData, runs: Path) -> dict[str, Any]:
    """`config.json`: the options, and what they came to when the run started: the class weights and the encoder's weights."""
    train, terms = data.train, settings.class_weights.reweight_terms
    ap: dict[str, float] = {}
    facts: dict[str, Any] = {}
    hard = max((term.count for term in terms if term.kind == "hard"), default=0)
    if hard:
        ap, where = development_ap(settings.class_weights.hard_from, runs, train.classes)
        facts = {"hard_from": str(where), "hard_classes": hardest(hard, train.classes, ap)}
        say(f"hard classes, by the validation AP in {where}: {', '.join(facts['hard_classes'])}")
    weights = class_weights(terms, train.classes, train.targets.sum(axis=0, dtype=np.int64), train.label_mask.sum(axis=0), ap)
    return {
        "options": settings.options,
        "class_weights": dict(zip(train.classes, weights.tolist(), strict=True)),
        "encoder_weights": settled_weights(settings.start),
        **facts,
        "classes": train.classes,
        "pixels": train.settings,
        "label_texts": asdict(data.labels),
        "provenance": record(settings.options, data.inputs),
    }
