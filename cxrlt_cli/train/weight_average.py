"""The grammar of `--average`, and the average of the weights that is validated and kept in place of the last ones."""

import copy
import math

from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.model.network import Network
from cxrlt_cli.train.state import State
from cxrlt_cli.tricks.weight_average import ema_decay, move_average, swa_decay

_DEFAULTS = {"ema": 0.999, "swa": 0.75}
_HINT = "one of none, ema[:DECAY] as ema:0.999, swa[:SHARE] as swa:0.75, from which share of the training on"


def parse_average(text: str) -> tuple[str, float]:
    """Name and number of `--average`; ("none", 0) without one. Raises UserError where it is none of the grammar."""
    name, _, number = text.partition(":")
    if text == "none":
        return "none", 0.0
    try:
        value = float(number) if number else _DEFAULTS.get(name, math.nan)
    except ValueError:
        value = math.nan
    if name not in _DEFAULTS or not 0 <= value < 1:
        raise UserError(f"--average {text!r} is none", _HINT)
    return name, value


def begin_average(config: TrainConfig, network: Network) -> Network | None:
    """The network that will hold the average, None where there is none. Raises UserError where `--average` is none."""
    return None if parse_average(config.average)[0] == "none" else copy.deepcopy(network).eval()


def average_step(config: TrainConfig, state: State) -> None:
    """After a step of the optimizer: EMA moves. Statistics of batch norms are averaged as weights are, as timm does."""
    name, decay = parse_average(config.average)
    if name == "ema" and state.average is not None:
        move_average(state.average.state_dict(), state.network.state_dict(), ema_decay(state.step, decay))


def average_epoch(config: TrainConfig, state: State) -> None:
    """After an epoch (`state.epoch` counts it): SWA takes its weights in; before its share of the training it follows them."""
    name, share = parse_average(config.average)
    if name != "swa" or state.average is None:
        return
    first = math.floor(share * config.epochs) + 1  # the first epoch that is averaged
    taken = max(state.epoch - first, 0)
    move_average(state.average.state_dict(), state.network.state_dict(), swa_decay(taken))
