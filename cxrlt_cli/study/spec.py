"""The variants of a study, read from `studies.toml` or from a user's file of the same form."""

import tomllib
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from cxrlt_cli.errors import UserError, listed, nearest
from cxrlt_cli.paths import is_file


@dataclass(frozen=True)
class Variant:
    """One row of a study's table.

    Attributes:
        name: in the table.
        train: flags of `cxrlt train`.
        merge: flags of `cxrlt merge` that make its dataset.
        embed: flags of `cxrlt embed-labels` that make its label embeddings.
        predict: flags of `cxrlt predict`.
        pseudo: the variant whose networks give the pseudo-labels.
        hard: the variant whose validation AP decides which classes are hard.
        ensemble: whether the networks of all seeds predict together.
        epochs: of its trainings, if the study compares several training budgets; else None.
    """

    name: str
    train: tuple[str, ...] = ()
    merge: tuple[str, ...] = ()
    embed: tuple[str, ...] = ()
    predict: tuple[str, ...] = ()
    pseudo: str = ""
    hard: str = ""
    ensemble: bool = False
    epochs: int | None = None


@dataclass(frozen=True)
class Study:
    """A declared study.

    Attributes:
        name: of the study.
        asks: the question, one sentence.
        variants: the first is the base; with several budgets, each is compared with the first of the same epochs.
        labels_from: the variant whose dataset has the labels of the evaluation; empty for the dataset of the workspace.
        chain: whether each variant adds something to the one before it.
        hold_out: whether the dataset must have classes that no training label names.
    """

    name: str
    asks: str
    variants: tuple[Variant, ...]
    labels_from: str = ""
    chain: bool = False
    hold_out: bool = False

    def variant(self, name: str) -> Variant:
        """The variant of a name."""
        return next(variant for variant in self.variants if variant.name == name)

    def base_of(self, variant: Variant) -> Variant:
        """The variant that another is compared with."""
        return next(other for other in self.variants if other.epochs == variant.epochs)


_HINT = "see docs/how-to/study.md for the form of such a file"
_LISTS = ("train", "merge", "embed", "predict")


def read_study(name: str, sources: list[str]) -> Study:
    """A built-in study, or one from a TOML file, which holds a single table of the same form.

    Args:
        name: of a built-in study, or a path.
        sources: of the training split. A variant with `*` in its name and flags is repeated for each source.

    Raises:
        UserError: no such study or file, or not of the form.
    """
    built_in = tomllib.loads(resources.files("cxrlt_cli.study").joinpath("studies.toml").read_text(encoding="utf-8"))
    if name in built_in:
        return _study(name, built_in[name], sources, name)
    path = Path(name)
    if not is_file(path):
        raise UserError(
            f"{name!r} is neither a study nor a file{nearest(name, built_in)}", f"built in are: {', '.join(built_in)}"
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as TOML: {error}", _HINT) from error
    return _study(path.stem, content, sources, str(path))


def _study(name: str, content: dict[str, Any], sources: list[str], where: str) -> Study:
    strange = set(content) - {"asks", "labels-from", "judge", "chain", "hold-out", "variants"}
    declared = content.get("variants")
    if strange or not isinstance(declared, dict) or len(declared) < 2:
        problem = f"has unknown keys {listed(sorted(strange))}" if strange else "declares fewer than two variants"
        raise UserError(f"{where} {problem}", _HINT)
    variants: list[Variant] = []
    for label, entry in declared.items():
        if "*" in label:
            variants += [_variant(label.replace("*", source), entry, source, where) for source in sources]
        else:
            variants += _budgets(_variant(label, entry, "", where), entry.get("epochs", []), where)
    names = [variant.name for variant in variants]
    labels_from = str(content.get("labels-from", content.get("judge", "")))  # "judge": its name before version 0.3
    wanted = [labels_from, *(name for variant in variants for name in (variant.pseudo, variant.hard))]
    absent = sorted({str(name) for name in wanted if name} - set(names))
    if absent or len(set(names)) < len(names):
        raise UserError(f"{where} names variants that it does not declare, or one twice: {listed(absent or names)}", _HINT)
    chain, hold_out = bool(content.get("chain")), bool(content.get("hold-out"))
    return Study(name, str(content.get("asks", "")), tuple(variants), labels_from, chain, hold_out)


def _budgets(variant: Variant, epochs: Any, where: str) -> list[Variant]:
    """The variant once per training budget, with the budget in its name; the variant itself if there are none."""
    if not isinstance(epochs, list) or not all(type(count) is int and count > 0 for count in epochs):
        raise UserError(f"{where}, {variant.name!r}: epochs is a list of numbers above 0, as [5, 10]", _HINT)
    return [
        replace(variant, name=f"{variant.name}, {count} ep", train=(*variant.train, f"--epochs={count}"), epochs=count)
        for count in epochs
    ] or [variant]


def _variant(name: str, entry: Any, source: str, where: str) -> Variant:
    known = {*_LISTS, "pseudo", "hard", "ensemble", "epochs"}
    if not isinstance(entry, dict) or set(entry) - known:
        raise UserError(f"{where}, {name!r}: only {', '.join(sorted(known))} are keys of a variant", _HINT)
    flags: dict[str, tuple[str, ...]] = {}
    for key in _LISTS:
        words = entry.get(key, [])
        if not isinstance(words, list) or not all(isinstance(word, str) and word.startswith("--") for word in words):
            raise UserError(f'{where}, {name!r}: {key} is a list of flags, as ["--mixup=0.2"]', _HINT)
        flags[key] = tuple(word.replace("*", source) for word in words)
    train, merge, embed, predict = (flags[key] for key in _LISTS)
    if any(word.startswith("--missing=pseudo") for word in merge) != bool(entry.get("pseudo")):
        raise UserError(f"{where}, {name!r}: --missing=pseudo and pseudo = VARIANT belong together", _HINT)
    pseudo, hard, ensemble = entry.get("pseudo", ""), entry.get("hard", ""), bool(entry.get("ensemble"))
    return Variant(name, train, merge, embed, predict, pseudo, hard, ensemble)
