"""What uncertain, blank and lacking labels become."""

import numpy as np
import pytest

from cxrlt_cli.artifacts.source_table import BLANK
from cxrlt_cli.labels.policies import to_targets

PUBLISHED = np.array([[1, 0, -1, BLANK]], dtype=np.int8)


@pytest.mark.parametrize(
    ("missing", "uncertain", "targets", "known"),
    [
        ("absent", "ignore", [1, 0, 0, 0], [True, True, False, True]),
        ("absent", "positive", [1, 0, 1, 0], [True, True, True, True]),
        ("absent", "negative", [1, 0, 0, 0], [True, True, True, True]),
        ("ignore", "ignore", [1, 0, 0, 0], [True, True, False, False]),
        ("ignore", "positive", [1, 0, 1, 0], [True, True, True, False]),
    ],
)
def test_policies(missing: str, uncertain: str, targets: list[int], known: list[bool]) -> None:
    found, sure = to_targets(PUBLISHED, missing, uncertain)
    assert found.tolist() == [targets]
    assert sure.tolist() == [known]
    assert found.dtype == np.uint8
