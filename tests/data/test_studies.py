"""Which images are of one study, and batches of whole studies."""

import numpy as np
import pandas as pd

from cxrlt_cli.data.studies import make_studies, rows_by_study


def test_studies_are_of_one_patient_and_blank_ones_are_single_images() -> None:
    patients = pd.Series(["p1", "p1", "p2", "p2", "p1", "p2"])
    studies = pd.Series(["s1", "s1", "s1", None, "", "s1"])
    views = pd.Series(["PA", "LL", "ap axial", None, "XTABLE LATERAL", "oblique"])
    found = make_studies(list("abcdef"), [patients, studies], views)
    codes = found.codes
    assert codes[0] == codes[1] != codes[2] == codes[5]
    assert len(set(codes.tolist())) == 4
    assert sorted(set(codes.tolist())) == [0, 1, 2, 3]
    assert found.lateral.tolist() == [0, 1, 0, 0.5, 1, 0.5]
    assert found.of(["f", "a"]).codes.tolist() == [1, 0]


def test_views_as_the_sources_call_them() -> None:
    frontal = ["AP", "PA", "AP AXIAL", "AP_horizontal", "Frontal", "PA LLD"]
    lateral = ["LATERAL", "LL", "RL", "L", "Lateral", "XTABLE LATERAL"]
    neither = ["LAO", "SWIMMERS", "COSTAL", "", None]
    names = [*frontal, *lateral, *neither]
    keys = [pd.Series([str(row) for row in range(len(names))])]
    found = make_studies([str(row) for row in range(len(names))], keys, pd.Series(names))
    assert found.lateral.tolist() == [0] * len(frontal) + [1] * len(lateral) + [0.5] * len(neither)


def test_batches_hold_whole_studies_and_every_row_once() -> None:
    codes = np.array([0, 2, 1, 0, 3, 1, 1, 4, 4, 4, 4])
    for size in (1, 3, 4, 100):
        batches = rows_by_study(codes, np.array([3, 1, 0, 4, 2]), size)
        assert sorted(np.concatenate(batches).tolist()) == list(range(11))
        held = [set(codes[rows].tolist()) for rows in batches]
        assert sum(map(len, held)) == 5
        assert all(len(rows) <= size or len(studies) == 1 for rows, studies in zip(batches, held, strict=True))
    assert [rows.tolist() for rows in rows_by_study(codes, np.array([3, 1, 0, 4, 2]), 4)] == [
        [4, 2, 5, 6],
        [0, 3],
        [7, 8, 9, 10],
        [1],
    ]
