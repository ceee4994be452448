"""Checkpoints of the program before the residual decoder give the scores that they gave then: see data/early_runs/README.md."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import Run

from cxrlt_cli.model.encoder import VisualEncoder
from cxrlt_cli.model.network import network_from

EARLY = Path(__file__).parent.parent / "data/early_runs"
FEATURES = (torch.arange(2 * 64 * 3 * 3) * 7919 % 1009 / 1009).reshape(2, 64, 3, 3)
HEADS: list[dict[str, Any]] = torch.load(EARLY / "heads.pt", weights_only=True)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: "-".join([head["spec"]["queries"], head["spec"]["classifier"]]))
def test_heads_of_early_runs_give_the_same_logits(head: dict[str, Any]) -> None:
    encoder = {f"encoder.{name}": value for name, value in VisualEncoder(head["spec"]["encoder"]).state_dict().items()}
    network = network_from({**head, "model": {**encoder, **head["model"]}}, Path("best.pt")).eval()
    with torch.no_grad():
        torch.testing.assert_close(network.classify(FEATURES), head["logits"], rtol=0, atol=1e-6)


def test_predict_scores_by_an_early_run_as_then(cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt("predict", EARLY / "runs/early", "--images", EARLY / "images", "--name", "few", "--device", "cpu")
    assert ended.code == 0, ended.err
    then, now = (pd.read_parquet(folder / "predictions/few.parquet") for folder in (EARLY, tmp_path))
    pd.testing.assert_frame_equal(now, then, rtol=0, atol=1e-4)
