"""Options of `cxrlt import`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from cxrlt_cli.config.grammar import parse_values
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag, flag_of
from cxrlt_cli.workspace import checked_name

_OF_LABELS = (
    "label_id_column", "label_columns", "label_column", "separator", "values", "patient_column", "patient_pattern",
    "study_column", "view_column", "sex_column", "age_column", "split_column",
)  # fmt: skip


@dataclass(frozen=True)
class ImportConfig:
    """Import another tool's scores.

    Reads a row per image and writes predictions/NAME.parquet, which evaluate, compare, calibrate, ensemble and report read.
    Labels come from the dataset of the workspace, or from a table alone (--labels): then dataset.parquet is written too,
    without pixels. Images and classes are matched by name; what has no score or no label is counted and left out.
    """

    #: Field -> the panel of `--help` that begins with it.
    PANELS: ClassVar[dict[str, str]] = {
        "scores": "Scores",
        "dataset": "Labels",
        "patient_column": "Patients and subgroups",
        "name": "Output",
    }

    scores: str = flag("", "CSV (also .gz), Parquet or npz with a row per image.", metavar="SCORES", argument=True)
    id_column: str = flag(
        "image_id", "Column of the image id; # numbers the rows, where the labels are in the same file.", metavar="COLUMN"
    )
    columns: str = flag(
        "",
        'Columns of the scores: a pattern, "prob_{class}"; names, "Mass,Nodule"; or a CSV with the columns column,class '
        "[default: those named like a class of the labels]",
        metavar="PATTERN|NAMES|FILE.csv",
    )
    kind: Literal["auto", "probabilities", "logits"] = flag(
        "auto", "What the scores are. auto: by their range; an error where that is not clear."
    )
    dataset: Path | None = flag(None, "Dataset with the labels [default: dataset.parquet, unless --labels]")
    split: Literal["train", "val", "test"] = flag("test", "Split that was scored.")
    labels: Path | None = flag(
        None, "CSV (also .gz), Parquet or npz with the labels, instead of a dataset; may be SCORES itself.", metavar="TABLE"
    )
    label_id_column: str = flag("", "Column of the image id in --labels [default: as --id-column]")
    label_columns: str = flag(
        "",
        'Label columns: as --columns, "label_{class}", or the name of a label space. Values: 1 present, 0 absent, -1 '
        "uncertain, blank unknown [default: those named like a class of the scores]",
        metavar="PATTERN|NAMES|FILE.csv",
    )
    values: str = flag(
        "", "Meaning of other words in the label columns, as YES=1,NO=0,HEDGE=-1; WORD= is unknown.", metavar="WORD=LABEL,…"
    )
    label_column: str = flag(
        "",
        "Instead of --label-columns, one column that lists the labels of an image: Atelectasis|Effusion, or "
        "['atelectasis', 'effusion']. A label that is not listed is 0, a blank cell unknown.",
        metavar="COLUMN",
    )
    separator: str = flag("|", "Separator of labels in --label-column, unless they are written as a list.")
    split_column: str = flag(
        "", "Column of the split in --labels: train, val or test [default: split if present, else all are in --split]"
    )
    patient_column: str = flag(
        "", "Column of the patient id, in --labels or SCORES; for intervals over patients [default: patient_id if present]"
    )
    patient_pattern: str = flag("", 'How the image id holds the patient id, as "{patient}_{n}.png".', metavar="PATTERN")
    study_column: str = flag("", "Column of the study id in --labels [default: study_id if present]")
    view_column: str = flag("", "Column of the view in --labels [default: view if present]")
    sex_column: str = flag("", "Column of the sex in --labels [default: sex if present]")
    age_column: str = flag("", "Column of the age in --labels [default: age if present]")
    name: str = flag("", "Name of the predictions [default: the name of SCORES]")
    output: Path | None = flag(
        None, "Dataset to write: the images and classes that have scores [default with --labels: dataset.parquet]"
    )
    overwrite: bool = flag(False, "Replace existing predictions, and a dataset without pixels.", name="--overwrite")

    def __post_init__(self) -> None:
        if not self.scores:
            raise UserError("missing argument SCORES", "cxrlt import scores.csv --labels labels.csv")
        checked_name(self.artifact_name)
        if self.labels and self.dataset:
            raise UserError("--labels and --dataset exclude each other", "labels come from one of them")
        self._refuse_label_options_without_labels()
        if self.label_column and (self.label_columns or self.values):
            raise UserError(
                "--label-column names the labels of an image in one column: --label-columns and --values do not go with it",
                "give --label-column, or --label-columns",
            )
        if not self.separator or (self.separator != "|" and not self.label_column):
            raise UserError(f"--separator {self.separator!r} needs --label-column", "it separates the labels in that column")
        if self.patient_column and self.patient_pattern:
            raise UserError("--patient-column and --patient-pattern exclude each other", "give the column, if there is one")
        if self.id_column == "#" and self.labels != self.file:
            raise UserError("--id-column # numbers rows: the labels must be in the same file", "--labels SCORES; or name an id")
        _check_pattern("--columns", self.columns, "class", 'as in --columns "prob_{class}"')
        _check_pattern("--label-columns", self.label_columns, "class", 'as in --label-columns "label_{class}"')
        self._check_patient_pattern()
        self.value_labels  # noqa: B018 - checked before any work

    def _refuse_label_options_without_labels(self) -> None:
        fields = type(self).__dataclass_fields__
        given = [name for name in _OF_LABELS if getattr(self, name) != fields[name].default]
        if given and not self.labels:
            flags = ", ".join(flag_of(self, name) for name in given)
            raise UserError(f"{flags}: only with --labels TABLE", "a dataset has its own labels and patients")

    def _check_patient_pattern(self) -> None:
        pattern = self.patient_pattern
        if pattern and (pattern.count("{patient}") != 1 or re.search(r"[{}]", re.sub(r"\{\w+\}", "", pattern))):
            raise UserError(
                f"--patient-pattern {pattern!r} is not a text with one {{patient}} and any other {{name}}",
                'as in --patient-pattern "{patient}_{n}.png"',
            )

    @property
    def file(self) -> Path:
        """The file of scores."""
        return Path(self.scores)

    @property
    def artifact_name(self) -> str:
        """The name under `predictions/`."""
        return self.name or self.file.name.split(".")[0]

    @property
    def value_labels(self) -> dict[str, str]:
        """Word in lower case -> 1, 0, -1, or empty for unknown. Raises UserError where `--values` does not say that."""
        return parse_values(self.values)


def _check_pattern(flag_name: str, text: str, field: str, example: str) -> None:
    """Raises UserError where a text has braces other than one {field}."""
    if re.findall(r"[{}]", text) and (text.count(f"{{{field}}}") != 1 or len(re.findall(r"[{}]", text)) != 2):
        raise UserError(f"{flag_name} {text!r} has braces other than one {{{field}}}", example)
