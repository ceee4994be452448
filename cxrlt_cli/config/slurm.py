"""Options of `cxrlt slurm`."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.config.embed_labels import EmbedLabelsConfig
from cxrlt_cli.config.evaluate import EvaluateConfig
from cxrlt_cli.config.features import FeaturesConfig
from cxrlt_cli.config.grammar import parse_words
from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag, flag_name, parse_options
from cxrlt_cli.workspace import checked_name


@dataclass(frozen=True)
class SlurmConfig:
    """Write the whole pipeline as Slurm batch scripts.

    One script per stage, to read and edit: an array that caches each source and a job that joins it, embed-labels, merge, train
    on one or more nodes, predict, evaluate; with --features, an array before train. submit.sh submits all of them. Jobs that
    are preempted or time out are requeued and resume.
    """

    out: Path | None = flag(None, "Folder for the scripts and their logs.", argument=True, metavar="OUT")
    source: tuple[str, ...] = flag((), "Source, as for cxrlt cache; may be repeated.", metavar="KIND=PATH")
    shards: int = flag(16, "Jobs in each array: of those that cache a source, and of --features.")
    name: str = flag("base", "Name of the run, its predictions, their evaluation, and stored features.")
    partition: str = flag("", "Partition of all jobs [default: the cluster's]")
    account: str = flag("", "Account of all jobs [default: the user's]")
    time: str = flag("12:00:00", "Time limit of each job.", metavar="[D-]HH:MM:SS")
    nodes: int = flag(1, "Nodes for train and predict.")
    gpus: int = flag(1, "GPUs per node, one process each; 0: train on CPUs, one process per node.")
    cpus: int = flag(8, "Cores per process.")
    sbatch: tuple[str, ...] = flag(
        (), "More options of sbatch for all jobs, as --sbatch=--qos=high; may be repeated.", metavar="OPTION"
    )
    setup: tuple[str, ...] = flag(
        (), "Shell line to run first in each job, as 'module load cuda'; may be repeated.", metavar="LINE"
    )
    cache: str = flag("", "More options of cxrlt cache, for all sources.", metavar="OPTIONS")
    embed_labels: str = flag("", "More options of cxrlt embed-labels.", metavar="OPTIONS")
    merge: str = flag("", "More options of cxrlt merge.", metavar="OPTIONS")
    features: str = flag(
        "",
        "Options of cxrlt features, as '--encoder hf:microsoft/rad-dino --grid 7': an array of jobs, a GPU each, stores the "
        "maps of a frozen encoder, and training reads them.",
        metavar="OPTIONS",
    )
    train: str = flag("", "More options of cxrlt train, as '--weights imagenet --mixup 0.2'.", metavar="OPTIONS")
    predict: str = flag("", "More options of cxrlt predict, as '--tta 8'.", metavar="OPTIONS")
    evaluate: str = flag("", "More options of cxrlt evaluate.", metavar="OPTIONS")
    overwrite: bool = flag(False, "Replace existing scripts.", name="--overwrite")

    def __post_init__(self) -> None:
        if self.out is None:
            raise UserError(
                "missing argument OUT, the folder for the scripts", "as in: cxrlt slurm jobs --source chexpert=/data/CheXpert"
            )
        if not self.source:
            raise UserError("no source: there is nothing to cache", "as in: --source chexpert=/data/CheXpert")
        if not re.fullmatch(r"(\d+-)?\d+(:\d\d){0,2}", self.time):
            raise UserError(f"--time {self.time!r} is not a time limit of Slurm", "as in 12:00:00 or 2-00:00:00")
        for name, least in (("shards", 1), ("nodes", 1), ("gpus", 0), ("cpus", 1)):
            if getattr(self, name) < least:
                raise UserError(f"--{name} {getattr(self, name)} is less than {least}", "see cxrlt slurm --help")
        checked_name(self.name)
        self._check_cluster_names()
        if len(set(self.source_names)) < len(self.source):
            raise UserError("two sources have one name", "cache the second by hand, with --name, and edit the scripts")
        self._check_words()

    def _check_words(self) -> None:
        """Parses the options of all stages. Raises UserError where one is wrong, or would replace one of the scripts."""
        for command, kind, own, more in self._commands():
            changed = _changed(kind, own, parse_options(command, kind, own), parse_options(command, kind, [*own, *more]))
            if changed:
                raise UserError(f"--{command}: {changed}", "leave it out; the scripts set it, see cxrlt slurm --help")

    @property
    def train_words(self) -> list[str]:
        """The options of cxrlt train, with those that stored features need."""
        return [*self._words_for_features, *parse_words("--train", self.train)]

    @property
    def _words_for_features(self) -> list[str]:
        """Options of cxrlt train: the features, and their encoder as `cxrlt features` runs it."""
        if not self.features:
            return []
        made = parse_options("features", FeaturesConfig, parse_words("--features", self.features))
        return ["--features", self.name, "--encoder", made.encoder, "--weights", made.weights, "--stride", made.stride]

    def _commands(self) -> list[tuple[str, type[Any], list[str], list[str]]]:
        """Each command that a script will run: its name, its options class, the script's own words, and those given here."""
        part = ["--shard", f"0/{self.shards}", "--resume"]
        cache = parse_words("--cache", self.cache)
        named = zip(self.source, self.source_names, strict=True)
        features = ["--name", self.name, *part], parse_words("--features", self.features)
        train = ["--name", self.name, "--resume", *self._words_for_features], parse_words("--train", self.train)
        return [
            *(("cache", CacheConfig, ["--source", source, "--name", name, *part], cache) for source, name in named),
            ("embed-labels", EmbedLabelsConfig, [], parse_words("--embed-labels", self.embed_labels)),
            ("merge", MergeConfig, [], parse_words("--merge", self.merge)),
            *([("features", FeaturesConfig, *features)] if self.features else []),
            ("train", TrainConfig, *train),
            ("predict", PredictConfig, [self.name, "--name", self.name, "--overwrite"], parse_words("--predict", self.predict)),
            ("evaluate", EvaluateConfig, [self.name, "--overwrite"], parse_words("--evaluate", self.evaluate)),
        ]

    def _check_cluster_names(self) -> None:
        for name in ("partition", "account"):
            if not re.fullmatch(r"[\w.,@-]*", getattr(self, name)):
                raise UserError(f"--{name} {getattr(self, name)!r} is not a name of Slurm", "see: sinfo, sacctmgr")

    @property
    def source_names(self) -> list[str]:
        """The name under `images/` of each source."""
        return [CacheConfig(source=source).artifact_name for source in self.source]


def _changed(kind: type[Any], own: list[str], scripts: Any, given: Any) -> str:
    """Which option of the scripts' own words, or which argument, is another one with the words that are given; else empty."""
    for field in dataclasses.fields(kind):
        value, other = getattr(scripts, field.name), getattr(given, field.name)
        if value != other and field.metadata["argument"]:
            words = " ".join(map(str, other)) if isinstance(other, tuple) else other
            return f"{words} stands without the name of an option"
        if value != other and flag_name(field) in own:
            return f"{flag_name(field)} {other} would replace the scripts' {flag_name(field)} {value}"
    return ""
