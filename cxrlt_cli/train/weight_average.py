"""The average of the weights that is validated and kept in place of the last ones."""

import copy
import math

from cxrlt_cli.config.train_grammar import AverageSpec
from cxrlt_cli.model.network import Network
from cxrlt_cli.train.state import State
from cxrlt_cli.tricks.weight_average import ema_decay, move_average, swa_decay


def begin_average(spec: AverageSpec, network: Network) -> Network | None:
    """The network that will hold the average, None where there is none."""
    return None if spec.rule == "none" else copy.deepcopy(network).eval()


def average_step(spec: AverageSpec, state: State) -> None:
    """After a step of the optimizer: EMA moves. Statistics of batch norms are averaged as weights are, as timm does."""
    if spec.rule == "ema" and state.average is not None:
        move_average(state.average.state_dict(), state.network.state_dict(), ema_decay(state.step, spec.value))


def average_epoch(spec: AverageSpec, epochs: int, state: State) -> None:
    """After one of `epochs` epochs (`state.epoch` counts it): SWA averages its weights, or, before its start, follows them."""
    if spec.rule != "swa" or state.average is None:
        return
    first = math.floor(spec.value * epochs) + 1  # the first epoch that is averaged
    taken = max(state.epoch - first, 0)
    move_average(state.average.state_dict(), state.network.state_dict(), swa_decay(taken))
