"""How long `cxrlt --help` and `cxrlt COMMAND --help` take, in seconds of wall and of processor time: the best of some rounds.

python benchmarks/help.py [--rounds 5]
"""

import argparse
import resource
import subprocess
import sys
import time

from cxrlt_cli.app import COMMANDS
from cxrlt_cli.console import table

LIMIT = 0.5  # seconds of processor time


def measure(command: str) -> tuple[float, float]:
    """Wall and processor seconds of one process."""
    arguments = [sys.executable, "-m", "cxrlt_cli", *filter(None, [command]), "--help"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(arguments, capture_output=True, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    rows = []
    for command in ("", *COMMANDS):
        wall, processor = (min(times) for times in zip(*(measure(command) for _ in range(rounds)), strict=True))
        rows.append([f"cxrlt {command}".strip(), f"{wall:.2f}", f"{processor:.2f}", "" if processor < LIMIT else "too slow"])
    print(table(["command", "wall, s", "processor, s", f"limit {LIMIT} s"], rows))


if __name__ == "__main__":
    main()
