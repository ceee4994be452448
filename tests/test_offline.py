"""Every stage but `fetch` without any network: in a network namespace of its own, which has no routes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CACHE, TRAIN, classes_file

_ALONE = ["unshare", "--net"]


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """The environment of a node without internet, with empty caches; skips where no namespace can be made."""
    tried = subprocess.run([*_ALONE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no network namespace can be made here: {tried.stderr.strip()}")
    caches = {name: str(tmp_path / "caches") for name in ("HF_HOME", "TORCH_HOME")}
    return {**{key: value for key, value in os.environ.items() if "proxy" not in key.lower()}, **caches}


def test_every_stage_works_without_a_network(offline: dict[str, str], pictures: Path, tmp_path: Path) -> None:
    """In one namespace and one process: the time of the imports is paid once."""
    commands: list[list[object]] = [
        [*CACHE, "--source", f"table={pictures / 'labels.csv'}", "--name", "pictures"],
        ["embed-labels", "--encoder", "ngram"],
        ["merge", "--label-space", classes_file(tmp_path), "--split", "50,25,25"],
        ["check", "--space", "0.001", "--backbone", "none"],
        [*TRAIN, "--encoder", "timm:test_resnet", "--epochs", "1"],  # another process, which has timm's own networks only
        ["predict", "--tta", "2"],
        ["evaluate", "--bootstrap", "20"],
        ["info", "dataset.parquet"],
    ]
    # what is missing: the seconds until it is said are printed
    missing: list[list[object]] = [
        ["embed-labels", "--encoder", "no-such-folder/", "--overwrite"],
        ["embed-labels", "--encoder", "pubmedbert", "--overwrite"],
        [*TRAIN, "--encoder", "resnet18", "--weights", "imagenet"],
        ["fetch", "--encoder", "pubmedbert", "--backbone", "resnet18"],
    ]
    code = f"""
import sys, time
from cxrlt_cli.app import main
if __name__ == "__main__":
    for arguments in {[list(map(str, command)) for command in [*commands, *missing]]!r}:
        sys.argv, since = ["cxrlt", *arguments], time.monotonic()
        try:
            main()
            ended = 0
        except SystemExit as end:
            ended = end.code
        print("ENDED", arguments[0], ended, time.monotonic() - since, flush=True)
"""
    script = tmp_path / "stages.py"
    script.write_text(code)
    done = subprocess.run(
        [*_ALONE, sys.executable, script], cwd=tmp_path, env=offline, capture_output=True, text=True, check=False, timeout=280
    )
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("ENDED")]
    codes = [(command, int(code)) for _, command, code, _ in rows]
    assert codes == [*((str(command[0]), 0) for command in commands), *((str(command[0]), 2) for command in missing)], (
        done.stderr
    )
    mistyped, *seconds = (float(row[3]) for row in rows[-4:])
    assert max(seconds) < 20, "no stage waits for a network that is not there"
    assert seconds[0] < mistyped + 1, "what is missing is said as fast as a wrong name, which needs the same imports"
    for command in ("cxrlt fetch --encoder pubmedbert", "cxrlt fetch --backbone resnet18"):
        assert command in done.stderr, "the hint is the command to type where there is a network"
