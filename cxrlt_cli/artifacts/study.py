"""`studies/NAME/`: `study.json` for programs, `table.csv` and `per_class.csv` for spreadsheets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.csv_writer import write_csv
from cxrlt_cli.artifacts.folder_swap import replacing_folder
from cxrlt_cli.artifacts.json_files import read_figures, without_nan, write_json
from cxrlt_cli.artifacts.parsing import Row, parse, plain, saved_as
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.paths import exists

FORMAT, VERSION = "cxrlt study", 1
OUT_OF_FOLD, TEST, ENSEMBLE = "out-of-fold.parquet", "test.parquet", "ensemble.json"  # of the study `folds`
_FILES = frozenset({"study.json", "table.csv", "per_class.csv", "figure.png", "figure.svg", OUT_OF_FOLD, TEST, ENSEMBLE})


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What `study.json` holds. Undefined metrics are NaN before it is written, and None when it is read.

    Attributes:
        study: its name.
        asks: its question.
        split: whose images are scored.
        images: number of images.
        patients: of these images.
        folds: of the study `folds`; None of others.
        seeds: number of networks a variant, or a fold.
        first_seed: the seeds count up from it.
        resamples: of the patients, for intervals.
        permutations: for p-values; None in studies of version 0.2.
        group_rule: how classes are grouped.
        groups: class -> its group.
        chain: whether each variant adds something to the one before it.
        variants: name -> its flags, and `training`: minutes, peak memory and number of weights.
        bases: variant -> the variant that it is compared with.
        means: a row a variant and mean (`study.metrics.mean_rows`).
        harmonic: a row a variant: harmonic mean of seen and unseen classes; empty where no class is held out.
        seeds_map: variant -> mAP of each seed.
        per_class: a row a variant and class.
        runs: variant -> for each seed the names of its runs.
        provenance: inputs are the dataset, the label embeddings, and the dataset with the labels of the evaluation.
        plan: hash of the variants and their artifacts.
        left_out: variants that could not be trained -> why.
    """

    study: str
    asks: str
    split: str
    images: int
    patients: int
    folds: int | None = None
    seeds: int
    first_seed: int
    resamples: int
    permutations: int | None = None
    group_rule: str
    groups: dict[str, str | None]
    chain: bool
    variants: dict[str, dict[str, Any]]
    bases: dict[str, str]
    means: list[Row]
    harmonic: list[Row] = field(default_factory=list)
    seeds_map: dict[str, list[float | None]] = saved_as("seeds_mAP")
    per_class: list[Row]
    runs: dict[str, list[list[str]]]
    provenance: Provenance = field(default_factory=Provenance)
    plan: str = ""
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, Any]:
        """What the file holds."""
        content: dict[str, Any] = without_nan({"format": FORMAT, "version": VERSION, **plain(self)})
        return content


def write_study(
    folder: Path,
    result: StudyResult,
    draw: Callable[[Path, str], None],
    write_more: Callable[[Path], None] | None = None,
) -> None:
    """Writes a study whose lock is held. Undefined metrics (NaN) become null and empty cells.

    Args:
        folder: of the study.
        result: what it found.
        draw: draws the figure to a path, as png or svg.
        write_more: writes further files of the study to its folder.
    """
    with replacing_folder(folder, _FILES.__contains__) as aside:
        for name, rows in (("table.csv", result.means), ("per_class.csv", result.per_class)):
            columns = list(dict.fromkeys(key for row in rows for key in row))
            write_csv(aside / name, columns, ([row.get(column) for column in columns] for row in rows))
        for form in ("png", "svg"):
            draw(aside / f"figure.{form}", form)
        if write_more:
            write_more(aside)
        write_json(aside / "study.json", result.content)


def read_study(folder: Path) -> StudyResult | None:
    """The result of a study, None where there is none. Raises UserError where it is damaged or something else."""
    path = folder / "study.json"
    if not exists(path):
        return None
    content = read_figures(path, FORMAT, VERSION, "cxrlt study, with another --name or --overwrite")
    return parse(StudyResult, content, path, "give the study another --name, or --overwrite")
