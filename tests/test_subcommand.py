"""Commands that another command types."""

from pathlib import Path

import numpy as np
import pytest

from cxrlt_cli import __version__
from cxrlt_cli.subcommand import run_subcommand


@pytest.mark.parametrize(
    ("arguments", "code", "says"), [(["--version"], 0, f"cxrlt {__version__}"), (["nonsense"], 2, "nonsense")]
)
def test_a_command_is_run_in_its_folder_and_measured(
    arguments: list[str], code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXRLT_WORKSPACE", "elsewhere")
    with (tmp_path / "said.txt").open("w") as output:
        ended = run_subcommand(arguments, tmp_path, output=output)
    assert ended.code == code
    assert 0 < ended.seconds < 60
    assert 1e7 < ended.peak < 1e9, "bytes, not kilobytes"
    assert says in (tmp_path / "said.txt").read_text()


def test_the_peak_is_that_of_the_command_and_not_of_its_parent(tmp_path: Path) -> None:
    held = np.ones(300_000_000, dtype=np.uint8)  # resident here while the command runs
    ended = run_subcommand(["--version"], tmp_path)
    assert ended.peak < 2e8 < len(held)
