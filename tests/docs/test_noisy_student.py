"""`docs/how-to/noisy-student.sh`: what it types, and that every flag it types is there."""

import shlex
import subprocess
from pathlib import Path

from conftest import Run

SCRIPT = Path(__file__).parents[2] / "docs/how-to/noisy-student.sh"


def test_two_rounds_type_commands_that_exist(cxrlt: Run, tmp_path: Path) -> None:
    log = tmp_path / "typed"
    fake = tmp_path / "bin/cxrlt"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/sh\nfor word; do printf "%s " "$word"; done >> {shlex.quote(str(log))}; echo >> {shlex.quote(str(log))}\n'
    )
    fake.chmod(0o755)
    environment = {"PATH": f"{fake.parent}:/usr/bin:/bin"}
    command = ["bash", str(SCRIPT), "2", "--encoder", "resnet18"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    typed = [line.split() for line in log.read_text().splitlines()]
    assert [words[0] for words in typed] == ["merge", "train", *["predict", "merge", "train"] * 2, *["predict", "evaluate"] * 3]
    teachers = [words[1] for words in typed if "teacher" in words]
    students = [words[words.index("--name") + 1] for words in typed if words[0] == "train"]
    assert teachers == ["round-0", "round-1"]
    assert students == ["round-0", "round-1", "round-2"]
    for words in typed:
        assert cxrlt(*words, "--help").code == 0  # a flag that is not there is an error, with --help too
    assert cxrlt(*typed[0], "--no-such-flag", "--help").code == 2
