"""The stage `compare`: paired differences between runs or predictions of the same images, with their uncertainty."""

import json

from cxrlt_cli.artifacts.comparison import Comparison, write_comparison
from cxrlt_cli.artifacts.dataset import SPLITS, Dataset, read_dataset
from cxrlt_cli.artifacts.evaluation import Resamples
from cxrlt_cli.artifacts.files import claimed, refuse_existing
from cxrlt_cli.artifacts.predictions import read_predictions_header
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.resolve import Entry, find_entries
from cxrlt_cli.config.compare import CompareConfig
from cxrlt_cli.console import data, say
from cxrlt_cli.errors import UserError
from cxrlt_cli.evaluate.comparison_table import as_text
from cxrlt_cli.evaluate.option_diff import differing
from cxrlt_cli.options import saved
from cxrlt_cli.results import ComparedScores
from cxrlt_cli.scores.labelled import Scored, read_scored
from cxrlt_cli.workspace import Workspace

INTERVAL = "95 %: Student's t with the standard deviation over resamples"


def compare(config: CompareConfig, workspace: Workspace) -> ComparedScores:
    """Compares, prints the result, and writes it if a name was given.

    Raises:
        UserError: an unknown entry, different images or classes, or an output that exists or cannot be written.
    """
    folder = (config.output or workspace.comparisons) / config.name if config.name else None
    if folder:
        refuse_existing(folder, config.overwrite)
    entries = find_entries(config.compared, workspace)
    dataset = read_dataset(config.dataset or workspace.dataset)
    scored = _same_images(entries, dataset, config.split)
    provenance = record(saved(config), [*(entry.path for entry in entries), dataset.path])
    from cxrlt_cli.evaluate.paired_rows import differences_to_base  # slow to import

    first, names = scored[0], [entry.name for entry in entries]
    found = differences_to_base(scored, names, config.bounds, (config.bootstrap, config.permutations, config.seed))
    comparison = Comparison(
        split=first.split,
        images=len(first.table),
        patients=int(first.table["patient_id"].nunique()),
        base=entries[0].name,
        options=differing([entry.options for entry in entries], names),
        bootstrap=Resamples(config.bootstrap, first.units, config.seed, INTERVAL),
        permutations=config.permutations,
        group_rule=found.group_rule,
        undefined=found.undefined,
        others=found.others,
        provenance=provenance,
    )
    if folder:
        with claimed(folder, config.overwrite):
            write_comparison(folder, comparison)
        say(f"comparison: {folder}/comparison.json and differences.csv")
    data(json.dumps(comparison.content, indent=1) if config.json else as_text(comparison))
    return ComparedScores(folder, comparison.content)


def _same_images(entries: list[Entry], dataset: Dataset, split: str | None) -> list[Scored]:
    """All predictions aligned with the labels of one split. Raises UserError if they score different splits or folds."""
    splits = {entry.name: read_predictions_header(entry.path).split for entry in entries}
    if split is None and len(set(splits.values())) > 1:
        scores = "; ".join(f"{name}: {value if value in SPLITS else 'unknown'}" for name, value in splits.items())
        raise UserError(f"they score different splits ({scores})", "compare predictions of one split: cxrlt predict --split")
    scored = [read_scored(entry.path, dataset, split) for entry in entries]
    for entry, one in zip(entries, scored, strict=True):
        if not one.table["image_id"].equals(scored[0].table["image_id"]):  # validation images of runs with different folds
            raise UserError(
                f"{entry.name} and {entries[0].name} score different images of the {one.split} split",
                "compare runs of one fold; or predictions of --split test, or out-of-fold scores of cxrlt study folds",
            )
    return scored
