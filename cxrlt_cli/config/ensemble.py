"""Options of `cxrlt ensemble`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.grammar import STUDY_HELP, parse_study, parse_weights
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class EnsembleConfig:
    """Merge existing predictions into an ensemble.

    Weights are equal, given or selected on validation. Nothing is scored again. Writes ensembles/NAME.json (members and
    weights), which `cxrlt predict --ensemble NAME` applies to other images, and predictions/NAME.parquet (the merged scores).
    """

    members: tuple[str, ...] = flag(
        (), "Runs (their validation scores) or predictions, by name or path.", metavar="RUN|PREDICTIONS...", argument=True
    )
    select: Literal["all", "greedy"] = flag(
        "all",
        "all: every member. greedy: repeatedly add the member that raises validation mAP most, with replacement (Caruana et "
        "al., ICML 2004); needs validation scores.",
    )
    rounds: int = flag(30, "Members that greedy selection adds; the best ensemble on the way is kept.")
    member_weights: str = flag("", "Weights of the members, in their order [default: equal]", metavar="W,W,…")
    merge: Literal["geomean", "mean", "logits"] = flag(
        "geomean", "Geometric or arithmetic mean of probabilities, or mean of logits."
    )
    apply: tuple[str, ...] = flag(
        (),
        "Merge these predictions of the same members for other images instead: one --apply per member, in their order.",
        metavar="PREDICTIONS",
    )
    study: str = flag("none", STUDY_HELP, metavar="RULE")
    dataset: Path | None = flag(None, "Dataset with validation labels and studies [default: dataset.parquet]")
    name: str = flag("ensemble", "Name: ensembles/NAME.json and predictions/NAME.parquet.")
    json: bool = flag(False, "Print JSON instead of a table.", name="--json")
    overwrite: bool = flag(False, "Replace an existing ensemble and its predictions.", name="--overwrite")

    def __post_init__(self) -> None:
        checked_name(self.name)
        if not self.members:
            raise UserError("missing arguments: an ensemble needs members", "name runs or predictions: cxrlt ensemble A B C")
        if self.rounds < 1:
            raise UserError(f"--rounds {self.rounds} is not 1 or more", "30 adds up to thirty members, with repetition")
        if self.member_weights and self.select == "greedy":
            raise UserError("--member-weights and --select greedy exclude each other", "greedy selection finds the weights")
        self.weights, self.study_weights  # noqa: B018 - checked before any work
        if self.apply and len(self.apply) != len(self.members):
            raise UserError(
                f"{len(self.apply)} --apply for {len(self.members)} members", "give one for each member, in the same order"
            )

    @property
    def weights(self) -> list[float]:
        """A weight for each member, equal ones where none are given."""
        return parse_weights(self.member_weights, len(self.members))

    @property
    def study_weights(self) -> tuple[float, float] | None:
        """The weights of a frontal and a lateral image of `--study`; None where studies are not merged."""
        return parse_study(self.study)
