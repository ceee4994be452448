"""Labels of ChestX-ray14 that radiologists say are wrong come first, with the scores of a published network."""

from pathlib import Path

import numpy as np
import pandas as pd

from cxrlt_cli.clean.confident_learning import probabilities_on_one_scale, rank_cells


def test_most_of_the_first_labels_are_wrong(real_data: Path) -> None:
    experts = real_data / "experts"
    scores = pd.read_csv(experts / "chexnet-probabilities.csv.gz", index_col="Image Index")
    findings = [name.removeprefix("prob_") for name in scores.columns]
    nih = pd.read_csv(real_data / "chestxray14/Data_Entry_2017_v2020.csv.gz", index_col="Image Index").loc[scores.index]
    given = np.stack([nih["Finding Labels"].str.contains(name, regex=False) for name in findings], axis=1).astype(np.uint8)
    said = pd.read_csv(experts / "all-findings-labels.csv.gz", index_col="Image ID").reindex(scores.index)
    truth = said[[name.replace("_", " ") for name in findings]].to_numpy()
    reviewed, wrong = np.isin(truth, ["YES", "NO"]), (truth == "YES") != (given == 1)
    patients = np.unique(nih["Patient ID"], return_inverse=True)[1]
    known = np.ones(given.shape, dtype=bool)
    p = scores.to_numpy(float)
    for probabilities in (p, probabilities_on_one_scale(np.log(p / (1 - p)), given, known, patients)):
        ranked = rank_cells(probabilities, given, known)
        inside = reviewed[ranked.rows, ranked.columns]
        errors = wrong[ranked.rows, ranked.columns][inside]
        assert len(errors) == 149 * 14
        assert errors.sum() == 241
        assert errors[:50].sum() >= 40, "six in a random order"
        assert errors[:200].sum() >= 105, "23 in a random order"
