"""Options of `cxrlt study`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.grammar import parse_shard, parse_words
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag, parse_options
from cxrlt_cli.workspace import checked_name

#: Flags of `cxrlt train` that a study decides itself.
_OWN = ("--seed", "--name", "--dataset", "--embeddings", "--resume", "--overwrite", "--hard-from", "--workspace")


@dataclass(frozen=True)
class StudyConfig:
    """Measure what a trick is worth: train variants over seeds, and compare them with intervals.

    Runs are trained under studies/, shared between studies, and those that are finished are not run again: the same command
    goes on where it was stopped. studies/NAME/ then holds table.csv, per_class.csv, study.json and figures: mAP by group,
    spread over seeds, paired differences to the first variant with intervals and p-values by a bootstrap over patients.
    """

    study: str = flag(
        "",
        "heads, classifier, reweight, text, missing, external, bag, complexity, or a TOML file of the same form.",
        metavar="NAME|FILE",
        argument=True,
    )
    train: str = flag(
        "", 'Flags of cxrlt train for every variant, as one text: "--encoder resnet18 --epochs 10".', metavar="FLAGS"
    )
    seeds: int = flag(3, "Runs of each variant, with consecutive seeds.")
    first_seed: int = flag(0, "First of the seeds; take others to confirm what was chosen on these.")
    split: Literal["val", "test"] = flag("test", "The split on which they are compared.")
    resamples: int = flag(1000, "Bootstrap resamples of the patients.")
    jobs: int = flag(1, "Commands that run at the same time; the cores are shared among them.", free=True)
    shard: str = flag(
        "", "Do only the I-th of N parts of the runs, for job I of an array; the command without it then writes the table.",
        metavar="I/N", free=True,
    )  # fmt: skip
    name: str = flag("", "Name of the study: studies/NAME/ [default: that of the study]")
    dataset: Path | None = flag(None, "Images and labels [default: dataset.parquet]")
    embeddings: Path | None = flag(None, "Label embeddings [default: label_embeddings.parquet]")
    json: bool = flag(False, "Print the figures as JSON instead of a table.", name="--json", free=True)
    overwrite: bool = flag(
        False, "Replace the table of another study of that name; its runs stay.", name="--overwrite", free=True
    )

    def __post_init__(self) -> None:
        if not self.study:
            raise UserError(
                "study what?", "name one: heads, classifier, reweight, text, missing, external, bag, complexity, or a file"
            )
        if self.first_seed < 0:
            raise UserError(f"--first-seed {self.first_seed} is below 0", "as in --first-seed 100")
        if self.seeds < 1 or self.jobs < 1 or self.resamples < 100:
            raise UserError("--seeds and --jobs are at least 1, --resamples at least 100", "as in --seeds 3 --resamples 1000")
        taken = [text for text in self.train_flags if text.partition("=")[0] in _OWN]
        if taken:
            raise UserError(f"--train {' '.join(taken)}: a study decides this itself", "leave it out; see cxrlt study --help")
        parse_options("train", TrainConfig, self.train_flags)
        checked_name(self.artifact_name)
        self.part  # noqa: B018 - checked before any work

    @property
    def all_seeds(self) -> range:
        """The seeds of each variant's runs."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def train_flags(self) -> list[str]:
        """The words of `--train`."""
        return parse_words("--train", self.train)

    @property
    def artifact_name(self) -> str:
        """The name under `studies/`."""
        return self.name or Path(self.study).stem

    @property
    def part(self) -> tuple[int, int]:
        """(index, count) of `--shard`, the index from 0."""
        return parse_shard(self.shard)
