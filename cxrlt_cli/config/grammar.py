"""Grammars that several commands share: the text of a flag in, its value out, checked when the options are made."""

import math
import os
import shlex
from collections.abc import Iterable
from typing import Any

from cxrlt_cli.errors import UserError, nearest
from cxrlt_cli.options import flag

#: The word of `--label-space` for the labels of the sources, and no other.
OF_SOURCES = "sources"


def unknown(flag_name: str, text: str, expected: str, names: Iterable[str]) -> UserError:
    """The error for a value that is not in the grammar of a flag: it names what is expected, and the nearest name."""
    near = nearest(text.partition(":")[0], names)
    return UserError(f"unknown {flag_name} {text!r}; expected {expected}", near.removeprefix("; "))


def groups_flag() -> Any:
    """The option of every command that groups classes into head, medium and tail."""
    return flag(
        "0.10,0.01",
        "Training prevalence above which a class is head, and above which it is medium; below it is tail.",
        metavar="HIGH,LOW",
    )


def parse_groups(text: str) -> tuple[float, float]:
    """High and low. Raises UserError where they are not two fractions in that order."""
    try:
        high, low = (float(part) for part in text.split(","))
    except ValueError:
        high, low = 0.0, 0.0
    if not 0 <= low < high < 1:
        raise UserError(
            f"--groups {text!r} is not two fractions HIGH,LOW with 0 <= LOW < HIGH < 1",
            "as in --groups 0.10,0.01: head above 10 %, medium above 1 %, tail below",
        )
    return high, low


def parse_reference(text: str) -> tuple[str, list[str]]:
    """`--reference` as its kind (labels, table, majority or leave-one-out), and the path or the readers' names.

    Raises:
        UserError: a majority of fewer than two readers, or of one twice.
    """
    if not text or text == "leave-one-out":
        return text or "labels", []
    kind, colon, rest = text.partition(":")
    if not colon or kind != "majority":
        return "table", [text]
    names = [name.strip() for name in rest.split(",")]
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise UserError(f"--reference {text!r} does not name two or more readers, each once", "as in majority:A,B,C")
    return "majority", names


STUDY_HELP = (
    "Merge the scores within a study by --merge and give each image the score of its study: none, equal, or weights of "
    "frontal and lateral images, as 2:1."
)


def parse_study(text: str) -> tuple[float, float] | None:
    """The weights of a frontal and a lateral image; None for `none`.

    Raises:
        UserError: neither `none`, `equal` nor two weights, or both of them 0.
    """
    if text == "none":
        return None
    try:
        frontal, lateral = (1.0, 1.0) if text == "equal" else (float(part) for part in text.split(":"))
    except ValueError:
        frontal = lateral = -1.0
    if not (frontal >= 0 and lateral >= 0 and 0 < frontal + lateral < math.inf):
        raise UserError(
            f"unknown --study {text!r}; expected none, equal or FRONTAL:LATERAL (weights of at least 0, not both 0)",
            "as in --study 2:1",
        )
    return frontal, lateral


def parse_weights(text: str, count: int) -> list[float]:
    """`--member-weights` as numbers, equal ones where it is empty.

    Raises:
        UserError: not as many numbers as members, or one that is negative or not finite, or all of them 0.
    """
    if not text:
        return [1.0] * count
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        weights = []
    if len(weights) != count:
        raise UserError(f"--member-weights {text!r} is not a number for each of {count} members", "as in 0.5,0.3,0.2")
    if not all(weight >= 0 for weight in weights) or not 0 < sum(weights) < math.inf:
        raise UserError(
            f"--member-weights {text!r}: a weight is 0 or more, and their sum above 0 and finite", "as in 0.5,0.3,0.2"
        )
    return weights


def parse_shard(text: str) -> tuple[int, int]:
    """(index, count) of a shard I/N, the index from 0; (0, 1) where it is empty. Raises UserError where it is not I/N."""
    if not text:
        return 0, 1
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count) <= 99_999):
        raise UserError(f"--shard {text!r} is not I/N with 0 <= I < N", "as in --shard 3/64, the fourth of 64")
    return int(index), int(count)


def parse_job_shard(text: str) -> tuple[int, int]:
    """A shard as `parse_shard` gives it; of `slurm`, the task of this job array, counted from the array's first.

    Raises:
        UserError: not I/N with 0 <= I < N, or `slurm` outside of a job array.
    """
    if text != "slurm":
        return parse_shard(text)
    names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")
    if not all(name in os.environ for name in names):
        raise UserError("--shard slurm: this is not a task of a Slurm job array", "sbatch --array=0-63 …, or say --shard i/n")
    values = [os.environ[name] for name in names]
    if not all(value.isdecimal() for value in values):
        said = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        raise UserError(f"--shard slurm: {said} are not three numbers of a job array", "say --shard i/n")
    task, first, count = map(int, values)
    return parse_shard(f"{task - first}/{count}")


def parse_window(text: str) -> tuple[float, float] | None:
    """The percentiles LOW,HIGH of `--window`; None where it is empty. Raises UserError where they are not in 0 ... 100."""
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not 0 <= low < high <= 100:
        raise UserError(f"--window {text!r} is not LOW,HIGH with 0 <= LOW < HIGH <= 100", "as in --window 1,99")
    return low, high


def parse_values(text: str) -> dict[str, str]:
    """`--values`: word in lower case -> 1, 0, -1, or empty for unknown. Raises UserError where it is something else."""
    pairs = [pair.rpartition("=") for pair in text.split(",") if text]
    found = {word.strip().casefold(): label.strip() for word, _, label in pairs}
    if len(found) < len(pairs) or "" in found or not set(found.values()) <= {"1", "0", "-1", ""}:
        raise UserError(
            f"--values {text!r} is not WORD=LABEL,… with each word once and labels 1, 0, -1 or nothing",
            "as in --values YES=1,NO=0,HEDGE=-1",
        )
    return found


def check_pixels(size: int, clahe: float) -> None:
    """Raises UserError where the side of the square or the clip limit of CLAHE is outside its range."""
    if not 8 <= size <= 4096:
        raise UserError(f"--size {size} is not within 8 … 4096", "224, 512 and 1024 px are usual")
    if not 0 <= clahe <= 40:
        raise UserError(f"--clahe {clahe} is not within 0 … 40", "2 is usual, 0 leaves it out")


def parse_words(flag_name: str, text: str) -> list[str]:
    """The words of a flag that holds flags of another command. Raises UserError where a quote is not closed."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{flag_name} {text!r}: {error}", f'as in {flag_name} "--encoder resnet18 --epochs 10"') from error
