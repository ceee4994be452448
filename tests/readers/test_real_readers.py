"""Google's readers of ChestX-ray14 beside CheXNet's probabilities: the published majority, and figures of scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from cxrlt_cli.artifacts.predictions import PredictionsHeader
from cxrlt_cli.readers.experts import gap_content, read_experts, study_content
from cxrlt_cli.scores.labelled import Scored

NAMES = ["4343882785", "4343883593", "4343883996"]


@pytest.fixture(scope="module")
def tables(real_data: Path) -> tuple[Path, Path]:
    """Calls of the readers, and the published labels."""
    return tuple(real_data / f"experts/all-findings-{name}.csv.gz" for name in ("readers", "labels"))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def scored(real_data: Path, tables: tuple[Path, Path]) -> Scored:
    """The 149 images that readers and network have in common, and a few others, with NIH's labels."""
    table = pd.read_csv(real_data / "experts/chexnet-probabilities.csv.gz").set_index("Image Index")
    read = set(pd.read_csv(tables[0])["Image ID"])
    table = table[table.index.isin(read) | (np.arange(len(table)) % 200 == 0)]
    classes = [name.removeprefix("prob_") for name in table.columns]
    found = pd.read_csv(real_data / "chestxray14/Data_Entry_2017_v2020.csv.gz").set_index("Image Index")["Finding Labels"]
    named = found.loc[table.index].str.split("|")
    targets = np.array([[name in names for name in classes] for names in named], dtype=np.uint8)
    ids = pd.DataFrame({"image_id": table.index, "patient_id": table.index.str[:8]})
    p = table.to_numpy()
    none = np.zeros(len(classes), dtype=np.int64)
    mask = np.ones(targets.shape, dtype=bool)
    logits = np.log(p / (1 - p)).astype(np.float32)
    return Scored(Path("chexnet"), PredictionsHeader(), "test", ids, classes, logits, targets, mask, none, none)


def test_the_published_labels_are_the_majority_of_three(
    scored: Scored, tables: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    experts = read_experts(scored, tables[0], ("table", [str(tables[1])]), ("", ""), "leave-out")
    assert np.array(experts.readers.names if experts.readers else [])[experts.reference.in_reference].tolist() == NAMES
    assert "equals the majority of 4343882785, 4343883593, 4343883996" in capsys.readouterr().err
    named = read_experts(scored, tables[0], ("majority", NAMES), ("", ""), "leave-out").reference
    both = experts.reference.known & named.known
    assert both.sum() == 149 * 14
    assert (named.positive == experts.reference.positive)[both].all()


def test_figures_are_scikit_learns(scored: Scored, tables: tuple[Path, Path]) -> None:
    experts = read_experts(scored, tables[0], ("majority", NAMES), ("", ""), "leave-out")
    facts, rows = study_content(experts, scored, 0, 0)
    assert (facts.images, facts.patients) == (149, 91)
    table = pd.read_csv(tables[0]).set_index("Image ID")
    labels = pd.read_csv(tables[1]).set_index("Image ID")
    one = table[table["Reader ID"] == 4343880271]
    shared = scored.table["image_id"][scored.table["image_id"].isin(one.index)]
    row = next(row for row in rows if row["class"] == "Pneumothorax" and row["reader"] == "4343880271")
    truth = labels.loc[shared, "Pneumothorax"] == "YES"
    assert row["kappa"] == pytest.approx(cohen_kappa_score(truth, one.loc[shared, "Pneumothorax"] == "YES"))
    _, gap = gap_content(experts, scored, 0, 0)
    column = scored.logits[scored.table["image_id"].isin(one.index), scored.classes.index("Pneumothorax")]
    found = next(row for row in gap if row["class"] == "Pneumothorax")
    assert found["auroc_reference"] == pytest.approx(roc_auc_score(truth, column))
