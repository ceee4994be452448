"""Options of `cxrlt study`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.config.grammar import parse_shard, parse_words
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag, parse_options
from cxrlt_cli.workspace import checked_name

FOLDS = "folds"  # the study whose runs differ in the fold that they hold out
#: Flags of `cxrlt train` that a study sets itself.
_OWN = ("--seed", "--name", "--dataset", "--embeddings", "--resume", "--overwrite", "--workspace")
_OWN_OF_FOLDS = ("--fold",)
_OWN_OF_OTHERS = ("--hard-from",)  # they take hard classes from a run of another variant


@dataclass(frozen=True)
class StudyConfig:
    """Train variants over several seeds and compare them.

    Runs are trained under studies/ and shared between studies; finished runs are not repeated, so the same command continues
    where it stopped. Writes studies/NAME/: table.csv, per_class.csv, study.json and figures, with mAP per group, spread over
    seeds, and paired differences to the first variant with intervals and p-values. The study folds trains a run per fold of
    merge --folds, and writes their out-of-fold scores and an ensemble.
    """

    study: str = flag(
        "",
        "folds (cross-validation), heads, classifier, reweight, text, missing, external, bag, unseen, complexity, encoder, or "
        "a TOML file of that form.",
        metavar="NAME|FILE",
        argument=True,
    )
    train: str = flag(
        "", 'Flags of cxrlt train for every variant, as one text: "--encoder resnet18 --epochs 10".', metavar="FLAGS"
    )
    seeds: int | None = flag(None, "Runs per variant or fold, with consecutive seeds. [default: 3; folds: 1]")
    first_seed: int = flag(0, "First seed. Use other seeds to confirm what was chosen on these.", most=(1 << 63) - 1)
    split: Literal["val", "test"] = flag("test", "Split on which variants are compared.")
    resamples: int = flag(1000, "Bootstrap resamples of the patients, for the intervals; at least 100.")
    permutations: int = flag(10_000, "Permutations of the patients; the smallest p-value is 1 / (N + 1).")
    jobs: int = flag(1, "Commands that run at the same time; they share the cores.", free=True, most=1024)
    shard: str = flag(
        "",
        "Train only shard I (from 0) of N, for job I of an array. When all are done, the same command without --shard writes "
        "the table.",
        metavar="I/N",
        free=True,
    )
    name: str = flag("", "Name of the study: studies/NAME/ [default: the given NAME, or the name of FILE without .toml]")
    dataset: Path | None = flag(None, "Dataset with images and labels [default: dataset.parquet]")
    embeddings: Path | None = flag(None, "Label embeddings [default: label_embeddings.parquet]")
    json: bool = flag(False, "Print JSON instead of a table.", name="--json", free=True)
    overwrite: bool = flag(
        False, "Replace the table of a different study of this name; its runs stay.", name="--overwrite", free=True
    )

    def __post_init__(self) -> None:
        if not self.study:
            raise UserError(
                "missing argument STUDY",
                "folds, heads, classifier, reweight, text, missing, external, bag, unseen, complexity, encoder, or a file",
            )
        if self.first_seed < 0:
            raise UserError(f"--first-seed {self.first_seed} is below 0", "as in --first-seed 100")
        if not 1 <= self.permutations <= 1_000_000:
            raise UserError("--permutations is 1 … 1000000", "10000 are enough for a p-value")
        if self.study == FOLDS and self.split != "test":
            raise UserError("study folds scores the held-out folds and the test split: --split val has no use", "leave it out")
        if self.seed_count < 1 or self.jobs < 1 or self.resamples < 100:
            raise UserError("--seeds and --jobs are at least 1, --resamples at least 100", "as in --seeds 3 --resamples 1000")
        self._check_train()
        checked_name(self.artifact_name)
        self.part  # noqa: B018 - checked before any work

    def _check_train(self) -> None:
        """Raises UserError for flags of `cxrlt train` that are wrong, or that the study sets."""
        own = (*_OWN, *_OWN_OF_FOLDS) if self.study == FOLDS else (*_OWN, *_OWN_OF_OTHERS)
        taken = [text for text in self.train_flags if text.partition("=")[0] in own]
        if taken:
            raise UserError(f"--train {' '.join(taken)}: a study sets this itself", "leave it out; see cxrlt study --help")
        train = parse_options("train", TrainConfig, self.train_flags)
        if self.study == FOLDS and train.hard_from is None and any(term.kind == "hard" for term in train.reweight_terms):
            raise UserError(
                f"--train --reweight {train.reweight}: no run of the study says which classes are hard",
                'name a finished run or an evaluation of the val split: --train "--reweight hard9:3 --hard-from runs/NAME"',
            )

    @property
    def seed_count(self) -> int:
        """Number of runs of each variant or fold."""
        return self.seeds if self.seeds is not None else 1 if self.study == FOLDS else 3

    @property
    def all_seeds(self) -> range:
        """The seeds of each variant's runs."""
        return range(self.first_seed, self.first_seed + self.seed_count)

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
