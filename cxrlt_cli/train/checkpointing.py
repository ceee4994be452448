"""The end of an epoch: validation, the two checkpoints, a line of the history."""

import math
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from cxrlt_cli.artifacts.dataset import Dataset
from cxrlt_cli.artifacts.predictions import Predictions, PredictionsHeader, write_predictions
from cxrlt_cli.artifacts.run import Run, write_history
from cxrlt_cli.artifacts.run_config import BestCheckpoint, RunConfig, write_best
from cxrlt_cli.data.batches import Images
from cxrlt_cli.model.lora import merged_state
from cxrlt_cli.model.network import NetworkSpec
from cxrlt_cli.signals import StopRequest
from cxrlt_cli.train.loop import Training
from cxrlt_cli.train.state import State
from cxrlt_cli.train.validate import Validation, validate


@dataclass(frozen=True)
class Validator:
    """The data and settings that validation and the two checkpoints need besides the state.

    Attributes:
        dataset: the validation split.
        images: its pixels or maps.
        spec: of the network.
        config: of the run.
        encoder: weights of an encoder that is not part of the trained network, since it is trained on stored features.
    """

    dataset: Dataset
    images: Images
    spec: NetworkSpec
    config: RunConfig
    encoder: dict[str, Tensor] = field(default_factory=dict)


def finish_epoch(run: Run, training: Training, state: State, validator: Validator, stop: StopRequest) -> bool:
    """Validates and saves; False if the validation was stopped.

    `last.pt` is written last: after a kill before that, the epoch is repeated and writes the same files again.
    """
    loss, speed = state.mean_loss, training.run_log.throughput.facts(training.device)
    validation = validate(training, state.eval_model, validator.dataset, validator.images, stop)
    if validation is None:
        return False
    ap = {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(validator.dataset.classes, validation.ap, strict=True)
    }
    entry = {"epoch": state.epoch, "step": state.step, "rate": state.optimizer.param_groups[0]["lr"]}
    entry |= {"train_loss": loss, "val_loss": validation.loss, "mAP": validation.mean_ap, "ap": ap}
    state.history.append({**entry, "speed": speed})
    state.loss_sum, state.loss_count = 0.0, 0
    better = state.best is None or validation.mean_ap > state.best[0]
    if better:
        state.best = (validation.mean_ap, state.epoch)
    if training.ranks.is_rank_zero:
        if better:
            _save_best(run, state, validator, validation)
        write_history(run, state.history)
        training.run_log.save(state)
        training.run_log.epoch(state, entry)
    losses = f"loss {math.nan if loss is None else loss:.4f}, validation loss {validation.loss:.4f}"
    throughput = f"{speed['images_per_s']:.1f} images/s, {speed['waiting']:.1%} waiting"
    text = f"epoch {state.epoch}/{training.settings.epochs}: {losses}, validation mAP {validation.mean_ap:.4f}"
    training.run_log.log(f"{text}{' (best)' if better else ''}; {throughput}")
    return True


def _save_best(run: Run, state: State, validator: Validator, validation: Validation) -> None:
    dataset = validator.dataset
    spec, config = validator.spec.saved(), validator.config
    weights = {**validator.encoder, **merged_state(state.eval_model)}
    model = {name: tensor.detach().cpu() for name, tensor in weights.items()}
    write_best(run, BestCheckpoint(spec, dataset.classes, dataset.settings, state.epoch, model, config))
    header = PredictionsHeader(
        [run.folder.name],
        "val",
        fold=config.fold,
        epoch=state.epoch,
        data_sources=config.data_sources,
        provenance=config.provenance,
    )
    write_predictions(run.validation, Predictions(list(dataset.table["image_id"]), dataset.classes, validation.logits, header))
