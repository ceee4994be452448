"""Grammars of `cxrlt train`: the text of a flag in, its value out. Every value is checked when the options are made."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from cxrlt_cli.config.grammar import unknown
from cxrlt_cli.errors import UserError

#: Loss -> its numbers and their defaults, in the order in which they are written.
LOSSES: dict[str, dict[str, float]] = {
    "bce": {},
    "focal": {"GAMMA": 2.0},
    "asl": {"G-": 4.0, "G+": 1.0, "CLIP": 0.05},
    "ldam": {"MARGIN": 0.5, "SCALE": 30.0},
    "db": {"LAMBDA": 2.0},
    "two-way": {"T": 4.0},
}
_LARGEST = 1000.0
_AVERAGES = {"ema": 0.999, "swa": 0.75}
_SAMPLINGS = ("none", "repeat-factor", "class-balanced", "square-root")
_GROUPS = ("head", "medium", "tail")
REWEIGHT_HINT = 'as in --reweight hard9:3, "Hernia:2,Fibrosis:3", tail:2, inverse-sqrt, effective:0.999 or @weights.csv'


def _forms(names: dict[str, dict[str, float]]) -> str:
    """Each loss as it is written: bce, focal[:GAMMA], asl[:G-/G+/CLIP] ..."""
    *first, last = (name + (f"[:{'/'.join(numbers)}]" if numbers else "") for name, numbers in names.items())
    return f"{', '.join(first)} or {last}"


LOSS_FORMS = _forms(LOSSES)
AVERAGE_FORMS = "none, ema[:DECAY] or swa[:FRACTION]"
SAMPLING_FORMS = "none, repeat-factor[:THRESHOLD], class-balanced or square-root"


@dataclass(frozen=True)
class LossSpec:
    """The value of `--loss`: its name, and its numbers in the order of `LOSSES`."""

    name: str
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class AverageSpec:
    """The value of `--average`.

    Attributes:
        rule: none, ema or swa.
        value: the decay of EMA per step, or the fraction of the training after which SWA begins; within 0 ... 1.
    """

    rule: Literal["none", "ema", "swa"]
    value: float = 0.0


@dataclass(frozen=True)
class TuneSpec:
    """The value of `--tune`: what of the encoder is trained; the rank of LoRA, else 0."""

    kind: Literal["full", "head", "lora"]
    rank: int = 0


@dataclass(frozen=True)
class SamplingSpec:
    """The value of `--sampling`; `threshold` is the frequency below which repeat-factor repeats a class, within 0 ... 1."""

    rule: str
    threshold: float = 0.01


@dataclass(frozen=True)
class Term:
    """A term of `--reweight`.

    Attributes:
        kind: hard, group, class, inverse-sqrt, effective or file.
        name: of the group or class, or the path of the file.
        value: the factor; of effective, beta.
        count: of hard, how many classes.
    """

    kind: str
    name: str = ""
    value: float = 1.0
    count: int = 0


def parse_loss(text: str) -> LossSpec:
    """Name and numbers of `--loss`. Raises UserError where the name is unknown or a number is out of range."""
    name, _, given = text.partition(":")
    if name not in LOSSES:
        raise unknown("--loss", text, LOSS_FORMS, LOSSES)
    defaults = LOSSES[name]
    try:
        numbers = tuple(float(part) for part in given.split("/")) if given else tuple(defaults.values())
    except ValueError:
        numbers = ()
    hint = f"expected {LOSS_FORMS}"
    if len(numbers) != len(defaults):
        takes = f"takes {len(defaults)} numbers, {'/'.join(defaults)}" if defaults else "takes no number"
        raise UserError(f"--loss {text!r}: {name} {takes}", hint)
    for what, number in zip(defaults, numbers, strict=True):
        wrong = _out_of_range(what, number)
        if wrong:
            raise UserError(f"--loss {text!r}: {what} {wrong}", hint)
    return LossSpec(name, numbers)


def _out_of_range(what: str, number: float) -> str:
    """The message about a number of a loss that is out of range; empty if it is in range."""
    if what == "CLIP":
        return "" if 0 <= number < 1 else "must be a probability of at least 0 and below 1"
    if what in ("GAMMA", "G-", "G+"):
        if 0 < number < 1:  # d/dp (1 - p)^gamma is infinite at p = 1
            return "must be 0 or at least 1: between them the gradient of a certain label is infinite"
        return "" if 0 <= number <= _LARGEST else f"must be within 0 … {_LARGEST:g}"
    return "" if 1 / _LARGEST <= number <= _LARGEST else f"must be within {1 / _LARGEST:g} … {_LARGEST:g}"


def parse_average(text: str) -> AverageSpec:
    """The value of `--average`. Raises UserError where it is not in the grammar."""
    name, _, number = text.partition(":")
    if text == "none":
        return AverageSpec("none")
    value = _number(number) if number else _AVERAGES.get(name, math.nan)
    if name not in _AVERAGES:
        raise unknown("--average", text, AVERAGE_FORMS, ("none", *_AVERAGES))
    if not 0 <= value < 1:
        raise UserError(f"--average {text!r}: {number} is not a number of at least 0 and below 1", f"expected {AVERAGE_FORMS}")
    return AverageSpec("ema" if name == "ema" else "swa", value)


def parse_sampling(text: str) -> SamplingSpec:
    """The value of `--sampling`. Raises UserError where it is not in the grammar."""
    name, colon, number = text.partition(":")
    if name not in _SAMPLINGS:
        raise unknown("--sampling", text, SAMPLING_FORMS, _SAMPLINGS)
    if name != "repeat-factor":
        if colon:
            raise UserError(f"--sampling {text!r}: {name} takes no number", f"expected {SAMPLING_FORMS}")
        return SamplingSpec(name)
    threshold = _number(number) if number else SamplingSpec.threshold
    if not 0 < threshold <= 1:
        raise UserError(f"--sampling {text!r}: THRESHOLD must be above 0 and at most 1", "as in --sampling repeat-factor:0.01")
    return SamplingSpec(name, threshold)


def parse_reweight(text: str) -> tuple[Term, ...]:
    """The terms of `--reweight`, none where it is empty. Raises UserError where a term is not in the grammar."""
    return tuple(_term(part.strip()) for part in text.split(",")) if text.strip() else ()


def _term(part: str) -> Term:
    if part == "inverse-sqrt":
        return Term("inverse-sqrt")
    if part.startswith("@") and len(part) > 1:
        return Term("file", part[1:])
    name, _, number = part.rpartition(":")
    name, value = name.strip(), _number(number)
    if not name or not 0 <= value < math.inf:
        raise UserError(f"--reweight: {part!r} is not NAME:FACTOR with a factor of at least 0", REWEIGHT_HINT)
    if name == "effective":
        if value >= 1:
            raise UserError(f"--reweight {part!r}: beta must be at least 0 and below 1", REWEIGHT_HINT)
        return Term("effective", value=value)
    hard = re.fullmatch(r"hard(\d+)", name)
    if hard:
        if int(hard[1]) < 1:
            raise UserError(f"--reweight {part!r}: hard needs at least 1 class", REWEIGHT_HINT)
        return Term("hard", value=value, count=int(hard[1]))
    return Term("group" if name in _GROUPS else "class", name, value)


def parse_source_weights(given: tuple[str, ...]) -> dict[str, float]:
    """Source -> weight, of the SOURCE=WEIGHT of `--source-weight`. Raises UserError where one is not of that form."""
    weights = {}
    for text in given:
        name, _, number = text.rpartition("=")
        weights[name] = _number(number)
        if not name or not 0 <= weights[name] < math.inf:
            raise UserError(
                f"--source-weight {text!r} is not SOURCE=WEIGHT with a weight of at least 0",
                "as in --source-weight chexpert=0.5",
            )
    return weights


def parse_save_every(text: str) -> tuple[int, float]:
    """(steps, seconds) of `--save-every`, 0 for the one that is not given. Raises UserError where it is neither."""
    found = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)m", text)
    if not found:
        raise UserError(f"--save-every {text!r} is neither a number of steps nor of minutes", "as in 500 or 10m; 0 is never")
    return int(found[1] or 0), 60 * float(found[2] or 0)


def _number(text: str) -> float:
    """The number in a text; NaN if it is not a number, which is in no range."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def parse_tune(text: str) -> TuneSpec:
    """Reads the value of `--tune`. Raises UserError where it is not full, head or lora:RANK."""
    if text == "full":
        return TuneSpec("full")
    if text == "head":
        return TuneSpec("head")
    name, _, rank = text.partition(":")
    if name != "lora" or not rank.isascii() or not rank.isdigit() or not 0 < int(rank) <= _LARGEST:
        raise unknown("--tune", text, "full, head or lora:RANK, as in lora:8", ("full", "head", "lora"))
    return TuneSpec("lora", int(rank))
