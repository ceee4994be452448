"""Turns a study into commands: one task per artifact. A hash of the inputs is in its name, so studies share artifacts."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.files import sha256_of
from cxrlt_cli.artifacts.resolve import find_features
from cxrlt_cli.config.embed_labels import EmbedLabelsConfig
from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.config.study import StudyConfig
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag_name, parse_options, usual_value
from cxrlt_cli.study.spec import Study, Variant
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class Task:
    """One command, and the file that exists when it is done.

    Attributes:
        name: unique in the folder of studies.
        arguments: the words after `cxrlt` on the command line.
        made: the artifact; of a run, its folder.
        needs: tasks that must be finished before.
    """

    name: str
    arguments: tuple[str, ...]
    made: Path
    needs: tuple["Task", ...] = ()


@dataclass(frozen=True)
class Given:
    """The inputs of a study: files as absolute paths, and a fingerprint of their content.

    Attributes:
        dataset: of the workspace.
        embeddings: label embeddings of the workspace.
        encoder: of the embeddings.
        classes: a file with the classes of the dataset, one per line.
        texts: a CSV with the texts of the embeddings, so that another text encoder encodes the same texts.
        fingerprint: of dataset and embeddings.
        merge: the options with which the dataset was merged.
        workspace: where the cached sources are.
        studies: where everything is written.
    """

    dataset: Path
    embeddings: Path
    encoder: str
    classes: Path
    texts: Path
    fingerprint: str
    merge: dict[str, Any]
    workspace: Workspace
    studies: Workspace


_REPEATED = ("--source-weight",)


#: Command of a task -> its options class.
_OPTIONS: dict[str, type[Any]] = {
    "embed-labels": EmbedLabelsConfig,
    "merge": MergeConfig,
    "predict": PredictConfig,
    "train": TrainConfig,
}


def check_commands(tasks: Iterable[Task]) -> None:
    """Checks the options of tasks and of those they need, before the first is run. Raises UserError as a command would."""
    for task in tasks:
        check_commands(task.needs)
        command, *words = task.arguments
        parse_options(command, _OPTIONS[command], words)


class Plan:
    """The tasks of a study."""

    def __init__(self, config: StudyConfig, study: Study, given: Given) -> None:
        self._config, self._study, self._given = config, study, given

    def predictions(self, variant: Variant) -> list[Task]:
        """The last task of each seed; of an ensemble, one for all."""
        runs = [self.run(variant, seed) for seed in self._config.all_seeds]
        groups = [tuple(runs)] if variant.ensemble else [(run,) for run in runs]
        return [self.predicted(group, variant, self._config.split) for group in groups]

    def run(self, variant: Variant, seed: int, before: tuple[str, ...] = ()) -> Task:
        """The training of a variant with a seed; `before`: variants that need it. Raises UserError if it depends on itself."""
        if variant.name in before:
            raise UserError(
                f"{self._study.name}: {variant.name!r} depends on itself, through hard or pseudo: {' -> '.join(before)}",
                "hard classes and pseudo-labels come from a variant that uses neither: name it in hard = or pseudo =",
            )
        before = (*before, variant.name)
        dataset, made_dataset = self._dataset(variant, seed, before)
        embeddings, made_embeddings = self._embeddings(variant)
        needs = [*made_dataset, *made_embeddings]
        flags = [*self._config.train_flags, *variant.train]
        decided = _not_default(flags)
        if "--features" in decided:  # by path: the workspace of the runs is another; by content in the name, as the dataset
            path = find_features(decided["--features"], self._given.workspace.features).resolve()
            flags.append(f"--features={path}")
            decided["--features"] = sha256_of(path)
        if "hard" in decided.get("--reweight", "") and "--hard-from" not in decided:
            first = self.run(self._study.variant(variant.hard) if variant.hard else self._study.variants[0], seed, before)
            needs.append(first)
            flags.append(f"--hard-from={first.made}")
        hard = [flag for flag in flags if flag.startswith("--hard-from")]
        name = _named(
            _readable(_not_default(list(variant.train))),
            [decided, hard, dataset.name, embeddings.name, self._given.fingerprint],
            seed,
        )
        arguments = ["train", *flags, f"--seed={seed}", f"--dataset={dataset}", f"--embeddings={embeddings}"]
        arguments += [f"--name={name}", "--resume", f"--workspace={self._given.studies.root}"]
        return Task(name, tuple(arguments), self._given.studies.runs / name, tuple(needs))

    @property
    def reference(self) -> tuple[Path, tuple[Task, ...]]:
        """The dataset with the labels that all predictions are compared with."""
        if not self._study.labels_from:
            return self._given.dataset, ()
        return self._dataset(self._study.variant(self._study.labels_from), 0)

    def predicted(self, runs: tuple[Task, ...], variant: Variant, split: str) -> Task:
        """The scores of a split by runs, several as an ensemble, with the flags of a variant."""
        dataset, made = self.reference
        name = _named(runs[0].name if len(runs) == 1 else "ensemble", [[run.name for run in runs], variant.predict, split])
        arguments = ["predict", *(str(run.made) for run in runs), *variant.predict, f"--split={split}"]
        arguments += [f"--dataset={dataset}", f"--name={name}", f"--workspace={self._given.studies.root}"]
        return Task(name, tuple(arguments), self._given.studies.predictions / f"{name}.parquet", (*runs, *made))

    def _dataset(self, variant: Variant, seed: int, before: tuple[str, ...] = ()) -> tuple[Path, tuple[Task, ...]]:
        if not variant.merge:
            return self._given.dataset, ()
        options = merge_options(self._given.merge) | _lists(variant.merge)
        needs: tuple[Task, ...] = ()
        if variant.pseudo:
            scores = self.predicted((self.run(self._study.variant(variant.pseudo), seed, before),), Variant(""), "train")
            options["--pseudo"], needs = [str(scores.made)], (scores,)
        name = _named(_readable(_last_of_each(list(variant.merge))), [options, self._given.fingerprint])
        path = self._given.studies.root / "datasets" / f"{name}.parquet"
        flags = [f"{flag}={value}" if value else flag for flag, values in options.items() for value in values]
        arguments = ["merge", *flags, f"--output={path}", f"--workspace={self._given.workspace.root}"]
        return path, (Task(name, tuple(arguments), path, needs),)

    def _embeddings(self, variant: Variant) -> tuple[Path, tuple[Task, ...]]:
        if not variant.embed or variant.embed == (f"--encoder={self._given.encoder}",):
            return self._given.embeddings, ()
        name = _named(
            _readable(_last_of_each(list(variant.embed))), [variant.embed, "texts of the embeddings", self._given.fingerprint]
        )
        path = self._given.studies.root / "embeddings" / f"{name}.parquet"
        same = (f"--label-space={self._given.classes}", f"--texts={self._given.texts}", "--text=prompt")
        arguments = ("embed-labels", *same, *variant.embed, f"--output={path}")
        return path, (Task(name, arguments, path),)


def merge_options(saved: Mapping[str, Any]) -> dict[str, list[str]]:
    """The flags that reproduce a saved `MergeConfig`: flag -> its values; one empty value for a switch."""
    options: dict[str, list[str]] = {}
    for field in fields(MergeConfig):
        value, flag = saved.get(field.name), flag_name(field)
        if field.name in ("output", "overwrite") or value in (None, "", False, []) or value == field.default:
            continue
        options[flag] = [""] if value is True else [str(item) for item in value] if isinstance(value, list) else [str(value)]
    return options


def _lists(flags: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for flag in flags:
        key, _, value = flag.partition("=")
        found.setdefault(key, []).append(value)
    return found


def _not_default(flags: list[str]) -> dict[str, str]:
    """The flags of `cxrlt train` that differ from their defaults."""
    usual = {flag_name(field): str(usual_value(field)) for field in fields(TrainConfig)}
    return {flag: value for flag, value in _last_of_each(flags).items() if value != usual.get(flag)}


def _last_of_each(flags: list[str]) -> dict[str, str]:
    """Flag -> value; the last one if a flag is given twice. `--flag value` and `--flag=value` are the same."""
    found: dict[str, str] = {}
    flag = ""
    for word in flags:
        value = word
        if word.startswith("--"):
            flag, _, value = word.partition("=")
        found[flag] = f"{found.get(flag, '')} {value}".strip() if flag in _REPEATED else value
    return dict(sorted(found.items()))


def _readable(flags: Mapping[str, str]) -> str:
    words = " ".join(f"{flag} {value}" for flag, value in flags.items())
    return re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-")[:40] or "base"


def _named(readable: str, decisive: list[Any], seed: int | None = None) -> str:
    """A name with a hash: two artifacts get the same name if everything that determines them is equal."""
    digest = hashlib.sha256(json.dumps([decisive, seed], sort_keys=True).encode()).hexdigest()[:8]
    return f"{readable}-{digest}" + ("" if seed is None else f"-s{seed}")
