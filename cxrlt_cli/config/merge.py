"""Options of `cxrlt merge`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag


@dataclass(frozen=True)
class MergeConfig:
    """Which sources become one dataset, in which labels, and how patients are split."""

    source: tuple[str, ...] = flag(
        (), "A cached source, by its name under images/; may be repeated [default: all]", metavar="NAME"
    )
    label_space: str = flag(
        "",
        "chestxray14 (14), cxr-lt-2023 (26) or a file with a class a line "
        "[default: chestxray14 where every source is of that kind, else cxr-lt-2023]",
    )
    missing: Literal["absent", "ignore"] = flag(
        "absent",
        "A label that a source lacks or leaves blank: absent (0, as in the paper) or ignore (out of loss and metrics).",
    )
    uncertain: Literal["ignore", "negative", "positive"] = flag("ignore", "What a label of -1 becomes: unknown, 0 or 1.")
    map: tuple[str, ...] = flag(
        (), 'A label by another name: "OLD=NEW", or "OLD=" to leave it out; may be repeated.', metavar="OLD=NEW"
    )
    split: str = flag("70,10,20", "Percent of patients for train, val, test, where no official list decides.")
    train_only: tuple[str, ...] = flag(
        (),
        "A source that only adds training images; those of its official test list are left out; may be repeated.",
        metavar="NAME",
    )
    duplicate_ids: Literal["refuse", "first", "prefix"] = flag(
        "refuse", "An image id in two sources: an error, only the first source's (by name), or SOURCE/ before every id."
    )
    seed: int = flag(0, "Decides which patients go where.")
    output: Path | None = flag(None, "The dataset to write [default: dataset.parquet]")
    overwrite: bool = flag(False, "Replace an existing dataset.", name="--overwrite", free=True)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 63:
            raise UserError(f"--seed {self.seed} is not within 0 … 2^63 - 1", "any whole number of that range will do")
        if any("=" not in pair or not pair.partition("=")[0].strip() for pair in self.map):
            raise UserError(f"--map {self.map} is not OLD=NEW", 'as in --map "Heart enlarged=Cardiomegaly", or --map "Code 7="')
        self.shares  # noqa: B018 - checked before any work

    @property
    def renamed(self) -> dict[str, str]:
        """Old name -> new name, empty to leave it out."""
        return {old.strip(): new.strip() for old, _, new in (pair.partition("=") for pair in self.map)}

    @property
    def shares(self) -> tuple[float, float, float]:
        """Shares of train, val and test, 1 together.

        Raises:
            UserError: not three percentages that make 100, or nothing to train on.
        """
        try:
            train, val, test = (float(part) / 100 for part in self.split.split(","))
        except ValueError:
            train, val, test = -1.0, 0.0, 0.0
        if not (train > 0 <= min(val, test) and abs(train + val + test - 1) <= 1e-9):
            raise UserError(
                f"--split {self.split!r} is not three percentages that make 100, the first above 0", "as in --split 70,10,20"
            )
        return train, val, test
