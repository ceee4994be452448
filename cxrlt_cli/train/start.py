"""How a run starts: new, or resumed from its folder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from cxrlt_cli.artifacts.data_sources import joined_sources
from cxrlt_cli.artifacts.files import fingerprint
from cxrlt_cli.artifacts.parsing import as_json, parse
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.run import Run, read_status
from cxrlt_cli.artifacts.run_config import RunConfig, read_run_config
from cxrlt_cli.compute.autotune import choose_compute_mode, saved_compute_mode
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import is_file
from cxrlt_cli.train.class_weights import class_weights, hardest
from cxrlt_cli.train.first_checks import refuse_seen_fold, refuse_what_cannot_start
from cxrlt_cli.train.hard_classes import development_ap
from cxrlt_cli.train.patience import is_finished
from cxrlt_cli.train.settings import TrainSettings
from cxrlt_cli.train.start_weights import data_sources_of_start, settled_weights, weights_origin
from cxrlt_cli.train.stored_features import features_of_run
from cxrlt_cli.train.training_data import TrainingData


@dataclass(frozen=True)
class Start:
    """How a run starts.

    Attributes:
        config: its `config.json`.
        resumed: whether an earlier process wrote `config.json`.
        kept: whether `last.pt` holds the state of an earlier process, so that `--weights` are not loaded again.
        done: whether it is finished.
        changed: whether `config` differs from `config.json`, which is then written again.
    """

    config: RunConfig
    resumed: bool
    kept: bool
    done: bool
    changed: bool = False

    def saved(self) -> dict[str, Any]:
        """As plain values, which rank 0 sends to the others."""
        content: dict[str, Any] = as_json(self)
        return content

    @classmethod
    def from_saved(cls, content: dict[str, Any]) -> Self:
        """The reverse of `saved`."""
        return parse(cls, content, Path("config.json"), "report this")


def start_new(settings: TrainSettings, data: TrainingData, runs: Path, device: torch.device, ranks: int) -> Start:
    """A run that has no `config.json` yet.

    Args:
        settings: of the training.
        data: of the training.
        runs: the folder of all runs, where hard classes and an earlier compute mode are looked up.
        device: of this process.
        ranks: number of processes that train together.

    Raises:
        UserError: missing weights, or weights that learned from the held-out fold; unknown sources or classes, too few images.
    """
    weights = settled_weights(settings.start)
    refuse_seen_fold(weights, data)
    config = _new_config(settings, data, runs, weights)
    refuse_what_cannot_start(settings, weights, data.train, ranks)
    workload, size = settings.workload, data.size
    mode = saved_compute_mode(runs, workload, size, device) or choose_compute_mode(workload, size, device)
    return Start(replace(config, compute_mode=mode), resumed=False, kept=False, done=False)


def resume(
    run: Run, settings: TrainSettings, data: TrainingData, refuse_changed_options: Callable[[dict[str, Any]], None]
) -> Start:
    """A run that has a `config.json`. With another `--patience` it may go on after it ended, or end earlier.

    Args:
        run: its folder.
        settings: of the training.
        data: of the training, as it is now.
        refuse_changed_options: raises UserError if the saved options differ from the current ones.

    Raises:
        UserError: it is damaged, was not written by `cxrlt train`, or was started with different options or files; or patience
            is larger, and the state to continue from is missing.
    """
    config = read_run_config(run)
    before, now = config.provenance.inputs, [fingerprint(path) for path in data.inputs]
    if config.class_weights is None or config.compute_mode is None or len(before) != len(now):
        raise UserError(f"{run.config} was not written by cxrlt train", "start again with --overwrite, or give another --name")
    refuse_changed_options(config.options)
    changed = [new.path for old, new in zip(before, now, strict=True) if old.sha256 != new.sha256]
    if config.classes != data.train.classes:
        changed = [now[0].path]
    if changed:
        raise UserError(
            f"{run.folder} was started with a different {' and '.join(changed)}",
            "restore it, or start again with --overwrite",
        )
    status, loop = read_status(run), settings.loop
    done = is_finished(status, loop.epochs, loop.patience)
    if not done and status is not None and status.state == "done" and not is_file(run.last):
        raise UserError(
            f"{run.folder} was stopped by --patience, and {run.last.name} is missing: it cannot be continued",
            "use the run as it is, or start again with --overwrite",
        )
    other = not done and config.options.get("patience", 0) != loop.patience
    return Start(_with_patience(config, loop.patience) if other else config, True, is_file(run.last), done, other)


def _with_patience(config: RunConfig, patience: int) -> RunConfig:
    return replace(config, options={**config.options, "patience": patience})


def _new_config(settings: TrainSettings, data: TrainingData, runs: Path, encoder_weights: str) -> RunConfig:
    """`config.json` of a new run; `encoder_weights` is what `--weights` resolves to."""
    train, terms = data.train, settings.class_weights.reweight_terms
    ap: dict[str, float] = {}
    where, chosen = None, None
    hard = max((term.count for term in terms if term.kind == "hard"), default=0)
    if hard:
        ap, where = development_ap(settings.class_weights.hard_from, runs, train.classes)
        chosen = hardest(hard, train.classes, ap)
        say(f"hard classes, by the validation AP in {where}: {', '.join(chosen)}")
    weights = class_weights(terms, train.classes, train.targets.sum(axis=0, dtype=np.int64), train.label_mask.sum(axis=0), ap)
    return RunConfig(
        options=settings.options,
        class_weights=dict(zip(train.classes, weights.tolist(), strict=True)),
        encoder_weights=encoder_weights,
        encoder_origin=weights_origin(settings.start, encoder_weights),
        hard_from=str(where) if where else None,
        hard_classes=chosen,
        classes=train.classes,
        pixels=train.settings,
        label_texts=data.labels,
        features=features_of_run(data.features, data.inputs[-1]) if data.features else None,
        fold=data.fold,
        provenance=record(settings.options, data.inputs),
        data_sources=joined_sources(train.header.data_sources, data_sources_of_start(encoder_weights)),
    )
