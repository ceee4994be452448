"""How long a small case takes from the command to its result, against another checkout, in turn on the same files.

python benchmarks/start.py --against FOLDER [--rounds 5] [--encoder resnet18]

FOLDER is another checkout, as `git worktree add FOLDER REVISION` makes it. The case has 200 phantoms of 32 px.
Seconds of processor time hardly depend on what else runs on the machine; wall time does.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from cxrlt_cli.console import table

HERE = Path(__file__).parents[1]
NETWORK = ["--weights", "none", "--epochs", "1", "--precision", "fp32", "--layout", "plain"]
COMMANDS = {
    "predict": ["predict", "small", "--overwrite"],
    "evaluate": ["evaluate", "--overwrite"],
    "train": ["train", "--name", "again", "--overwrite", *NETWORK],
}


def run(checkout: Path, workspace: Path, arguments: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one command."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "cxrlt_cli", *arguments]
    subprocess.run(command, cwd=workspace, env=environment, capture_output=True, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--encoder", default="resnet18")
    given = parser.parse_args()
    COMMANDS["train"] += ["--encoder", given.encoder]
    with tempfile.TemporaryDirectory() as name:
        workspace = Path(name)
        run(HERE, workspace, ["demo", ".", "--phantoms", "200", "--size", "32", "--data-only", "--overwrite"])
        run(HERE, workspace, ["train", *NETWORK, "--encoder", given.encoder, "--name", "small"])
        run(HERE, workspace, ["predict", "small"])
        rows = []
        for command, arguments in COMMANDS.items():
            pairs = [[run(checkout, workspace, arguments) for checkout in (given.against, HERE)] for _ in range(given.rounds)]
            for number, kind in enumerate(("wall", "processor")):
                before, after = zip(*((pair[0][number], pair[1][number]) for pair in pairs), strict=True)
                ratios = sorted(b / a for a, b in zip(before, after, strict=True))
                spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
                rows.append(
                    [f"{command}, {kind}", f"{median(before):.2f}", f"{median(after):.2f}", f"{median(ratios):.2f}", spread]
                )
    print(table(["what, s", "before", "after", "ratio", "of the pairs"], rows))


if __name__ == "__main__":
    main()
