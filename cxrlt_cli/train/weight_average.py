"""Averaging of weights (EMA, SWA): the average is validated and saved in place of the current weights."""

import copy
import math

from cxrlt_cli.config.train_grammar import AverageSpec
from cxrlt_cli.model.network import Network
from cxrlt_cli.train.state import State
from cxrlt_cli.tricks.weight_average import ema_decay, move_average, swa_decay


def begin_average(spec: AverageSpec, network: Network) -> Network | None:
    """A copy of the network for the average; None without averaging."""
    return None if spec.rule == "none" else copy.deepcopy(network).eval()


def average_step(spec: AverageSpec, state: State) -> None:
    """After an optimizer step: updates the EMA. Batch norm statistics are averaged like weights, as in timm."""
    if spec.rule == "ema" and state.average is not None:
        move_average(state.average.state_dict(), state.network.state_dict(), ema_decay(state.step, spec.value))


def average_epoch(spec: AverageSpec, epochs: int, state: State) -> None:
    """After an epoch (`state.epoch` of `epochs`): SWA averages its weights, or copies them before its start."""
    if spec.rule != "swa" or state.average is None:
        return
    first = math.floor(spec.value * epochs) + 1  # the first averaged epoch
    taken = max(state.epoch - first, 0)
    move_average(state.average.state_dict(), state.network.state_dict(), swa_decay(taken))
