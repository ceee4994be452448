"""Commands that another command types."""

from pathlib import Path

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
    assert ended.peak > 1e7, "bytes, not kilobytes"
    assert says in (tmp_path / "said.txt").read_text()
