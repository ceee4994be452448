"""What a command costs, with the processes that it starts; other benchmarks use it."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

#: The command is started from a small process: Linux counts the memory of the starting process into the peak.
_STARTER = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[1], "w").write(f"{used.ru_utime + used.ru_stime} {used.ru_maxrss}")
sys.exit(code)
"""


@dataclass(frozen=True)
class CommandCost:
    """Seconds by the clock, seconds of all processors, and the peak resident memory of the largest process, bytes."""

    wall: float
    processor: float
    memory: int


def command_cost(command: list[str], folder: Path) -> CommandCost:
    """Runs a command in a folder, where it leaves `used.txt`. Exits with what the command says if it fails."""
    began = time.perf_counter()
    starter = [sys.executable, "-c", _STARTER, str(folder / "used.txt"), *command]
    done = subprocess.run(starter, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    processor, peak = map(float, (folder / "used.txt").read_text().split())
    return CommandCost(time.perf_counter() - began, processor, int(peak * 1024))
