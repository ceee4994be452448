"""Maps each label of each source to a class: by name, by synonym, or as given by `--map`."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from cxrlt_cli.artifacts.csv_rows import CsvRow, csv_rows
from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.console import say, shortened, table
from cxrlt_cli.errors import UserError, closest, listed, nearest
from cxrlt_cli.labels.spaces import canonical, known_names
from cxrlt_cli.paths import exists

#: Value of the column `class` in a label map for a label that is not a class of the dataset.
LEAVE_OUT = "leave-out"
_COLUMNS = ("source", "label", "class")
_HINT = (
    f"a CSV in UTF-8 with the columns {','.join(_COLUMNS)}; class is a class or {LEAVE_OUT}, an empty source means every source"
)


@dataclass(frozen=True)
class LabelMap:
    """The label map given by the user.

    Attributes:
        classes: (source, label) -> class, empty to leave the label out; an empty source means every source.
        absent: files of `--map` that do not exist: unknown labels are written to the first.
        files: files that were read.
    """

    classes: Mapping[tuple[str, str], str]
    absent: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()

    def of(self, source: str) -> dict[str, str]:
        """Label -> class for one source, empty to leave the label out."""
        everywhere = {label: name for (where, label), name in self.classes.items() if not where}
        return everywhere | {label: name for (where, label), name in self.classes.items() if where == source}


def read_label_map(pairs: Mapping[str, str], files: list[Path]) -> LabelMap:
    """Reads `--map`.

    Args:
        pairs: label -> class for every source, empty to leave the label out.
        files: label maps; one that does not exist yet will be written.

    Raises:
        UserError: a damaged file, a missing column, a label without a name or a class, or a label twice.
    """
    classes = {("", label): name for label, name in pairs.items()}
    there = [path for path in files if exists(path)]
    for path in there:
        for row, key, name in _rows(path):
            if classes.get(key, name) != name:
                raise UserError(f"{path}, {row.place}: --map gives label {key[1]!r} two classes", "give it one")
            classes[key] = name
    return LabelMap(classes, tuple(path for path in files if path not in there), tuple(there))


def _rows(path: Path) -> list[tuple[CsvRow, tuple[str, str], str]]:
    """Row, (source, label) and class, empty to leave the label out."""
    rows = csv_rows(path, _HINT)
    header = next(rows, CsvRow([], 0, 0)).cells
    lacking = [name for name in _COLUMNS if name not in header]
    if lacking:
        raise UserError(f"{path} has no column {listed(lacking)}", _HINT)
    places = [header.index(name) for name in _COLUMNS]
    found, open_ = [], []
    for row in rows:
        source, label, name = (row.cells[place].strip() for place in places)
        if not label:
            raise UserError(f"{path}, {row.place}: an empty label", _HINT)
        if not name:
            open_.append(label)
        found.append((row, (source, label), "" if name == LEAVE_OUT else name))
    if open_:
        raise UserError(f"{path}: {len(open_)} labels have no class yet: {listed(open_)}", f"write a class or {LEAVE_OUT}")
    return found


def map_labels(labels: list[str], space: list[str], given: Mapping[str, str]) -> tuple[dict[str, str | None], dict[str, str]]:
    """Maps the labels of a source to the classes of a label space.

    Args:
        labels: label names as published.
        space: classes.
        given: by the user: label -> class, empty to leave the label out.

    Returns:
        Label -> class, None for a label that is left out or not in the space; and label -> nearest known name (or empty) for
        the labels that no vocabulary has, which are None in the first.

    Raises:
        UserError: the user names a class that no vocabulary has.
    """
    class_of = {canonical(name): name for name in space}
    known = {canonical(name) for name in known_names()} | set(class_of)
    wrong = {label: name for label, name in given.items() if label in labels and name and canonical(name) not in known}
    if wrong:
        label, name = next(iter(wrong.items()))
        raise UserError(
            f"--map gives {len(wrong)} labels a class that no label space has: {label} = {name!r}"
            f"{nearest(name, [*space, *known_names()])}",
            "name a class of --label-space; or --label-space sources makes a class of every name",
        )
    mapping: dict[str, str | None] = {}
    unknown: dict[str, str] = {}
    for label in labels:
        meant = given.get(label, label)
        mapping[label] = class_of.get(canonical(meant)) if meant else None
        if meant and canonical(meant) not in known:
            unknown[label] = _suggestion(meant, class_of)
    return mapping, unknown


def _suggestion(label: str, class_of: Mapping[str, str]) -> str:
    """The class whose name or synonym is most similar to a label, in any word order; empty if none is similar."""
    names = {_words(name): name for name in [*known_names(), *class_of.values()]}
    near = names.get(closest(_words(label), names), "")
    return class_of.get(canonical(near), near)


def _words(name: str) -> str:
    return " ".join(sorted(re.findall(r"[^\W_]+", name.casefold())))


def classes_of(labels: Mapping[str, list[str]], given: LabelMap) -> list[str]:
    """The label space `sources`: all findings that the sources label, each once, under its first name.

    Args:
        labels: source -> its labels.
        given: label map, applied first.

    Raises:
        UserError: every label is left out.
    """
    classes: dict[str, str] = {}
    for source, names in labels.items():
        said = given.of(source)
        for name in filter(None, (said.get(label, label) for label in names)):
            classes.setdefault(canonical(name), name)
    if not classes:
        raise UserError("the sources have no label that is not left out", "see --map")
    return list(classes.values())


def map_sources(
    labels: Mapping[str, list[str]], space: list[str], given: LabelMap, leave_out: Collection[str]
) -> dict[str, dict[str, str | None]]:
    """`map_labels` of every source: source -> label -> class.

    Args:
        labels: source -> its labels.
        space: classes.
        given: label map of the user.
        leave_out: sources whose unknown labels are left out with a message instead of refused.

    Raises:
        UserError: labels that no vocabulary has; all are printed with the nearest name, and written to the first label map
            that does not exist.
    """
    found = {source: map_labels(names, space, given.of(source)) for source, names in labels.items()}
    unknown = [(source, label, near) for source, (_, names) in found.items() for label, near in names.items()]
    if unknown:
        rows = shortened([[label, source, near] for source, label, near in unknown], "cxrlt merge --map FILE.csv")
        for line in table(["label", "source", "nearest"], rows).splitlines():
            say(line)
    refused = [entry for entry in unknown if entry[0] not in leave_out]
    if refused:
        _refuse_unknown(refused, given)
    if unknown:
        say(f"{len(unknown)} labels that no label space has are left out")
    for path in given.absent:
        say(f"{path} is not written: every label is mapped to a class or left out")
    return {source: mapping for source, (mapping, _) in found.items()}


def refuse_other_space(mappings: Mapping[str, Mapping[str, str | None]], space: str) -> None:
    """Raises UserError where no label of any source is a class of the label space: every class would be without a positive."""
    if not any(target for mapping in mappings.values() for target in mapping.values()):
        labels = listed(label for mapping in mappings.values() for label in mapping)
        raise UserError(
            f"no label of {', '.join(mappings)} is a class of the label space {space}: {labels}",
            "name another: --label-space; or say what the labels are: --map",
        )


def _refuse_unknown(unknown: list[tuple[str, str, str]], given: LabelMap) -> None:
    what = "a label is" if len(unknown) == 1 else f"{len(unknown)} labels are"
    if given.absent:
        path = given.absent[0]
        _write(path, unknown)
        raise UserError(
            f"{what} in no label space: written to {path}",
            f"fill in its column class (a class, or {LEAVE_OUT}), and merge again with the same --map",
        )
    label, near = unknown[0][1:]
    raise UserError(
        f"{what} in no label space, see above",
        f'map it: --map "{label}={near or "CLASS"}", or --map "{label}=" to leave it out; --map FILE.csv writes all to '
        "a table to fill in; --unknown leave-out; or --label-space sources makes each a class",
    )


def _write(path: Path, unknown: list[tuple[str, str, str]]) -> None:
    write_csv(path, [*_COLUMNS, "nearest"], ([source, label, "", near] for source, label, near in unknown))
