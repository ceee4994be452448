"""Merging the two real label tables, side by side with pandas' parsing of them, and what each policy makes of every class.

python benchmarks/merge.py Data_Entry_2017_v2020.csv.gz train.csv.gz

The tables are ChestX-ray14's and CheXpert's (335,534 rows). Their pictures need not be there: black ones of 8 px with hashes
drawn at random stand in. What is measured is processor time, which other work on the machine does not lengthen.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from command_cost import command_cost
from PIL import Image

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.image_file import create_images
from cxrlt_cli.artifacts.row_access import RowWriter
from cxrlt_cli.artifacts.source_table import SourceHeader, SourceTable, write_source_table
from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.labels.merge import merge_sources
from cxrlt_cli.preprocess.settings import PixelSettings
from cxrlt_cli.sources.chestxray14 import read_chestxray14
from cxrlt_cli.sources.chexpert import read_chexpert
from cxrlt_cli.workspace import Workspace

SIZE = 8  # px
ROUNDS = 5
SPACE = "cxr-lt-2023"
_PARSE = "import sys, pandas; [pandas.read_csv(path) for path in sys.argv[1:]]"


def put(workspace: Path, source: SourceTable) -> None:
    """A cached source with black pictures."""
    ids = source.table["image_id"].tolist()
    identity = {"kind": source.kind, "images_sha256": "", "labels_sha256": ""}
    path = workspace / f"images/{source.kind}.h5"
    writer = RowWriter(create_images(path, ids, SIZE, PixelSettings(SIZE).saved(), identity))
    hashes = np.random.default_rng(len(ids)).integers(0, 1 << 63, (len(ids), 5), dtype=np.uint64)
    for row, own in enumerate(hashes):
        writer.write(row, np.zeros((SIZE, SIZE), np.uint8), own)
    writer.mark_done(list(range(len(ids))))
    writer.close()
    source.table["row"] = np.arange(len(ids))
    header = SourceHeader(identity=identity, listed=len(ids), unreadable=0)
    write_source_table(path.with_suffix(".parquet"), replace(source, header=header))


def merged(workspace: Path, *options: str) -> list[str]:
    """The command."""
    program = [sys.executable, "-m", "cxrlt_cli", "merge", "--workspace", str(workspace), "--label-space", SPACE]
    return [*program, "--overwrite", *options]


def speed(tables: list[str], workspace: Path) -> None:
    """As commands, start-up and imports included, and within a process that has begun."""
    commands = {"pandas": [sys.executable, "-c", _PARSE, *tables], "cxrlt merge": merged(workspace)}
    rounds = {name: [command_cost(command, workspace) for _ in range(ROUNDS)] for name, command in commands.items()}
    whole = {name: median(cost.processor for cost in found) for name, found in rounds.items()}
    print("\n| | processor seconds as a command | within a process | peak resident memory |\n| --- | --- | --- | --- |")
    work: dict[str, Any] = {
        "pandas": lambda: [pd.read_csv(table) for table in tables],
        "cxrlt merge": lambda: merge_sources(MergeConfig(label_space=SPACE, overwrite=True), Workspace(workspace)),
    }
    inside: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, do in work.items():
            began = time.process_time()
            do()
            inside[name].append(time.process_time() - began)
    for name, found in rounds.items():
        peak = max(cost.memory for cost in found)
        print(f"| {name} | {whole[name]:.2f} | {median(inside[name]):.2f} | {peak / 2**20:.0f} MiB |")
    ratios = [seconds["cxrlt merge"] / seconds["pandas"] for seconds in (whole, {n: median(t) for n, t in inside.items()})]
    print(f"\nmerge of parsing: {ratios[0]:.1f} as commands, {ratios[1]:.1f} within a process")


def counts(workspace: Path) -> None:
    """Positives of each class, and how many labels are unknown, under each policy."""
    policies = [(), ("--missing", "ignore"), *(("--uncertain", name) for name in ("positive", "negative"))]
    columns: dict[str, Any] = {}
    for policy in policies:
        subprocess.run(merged(workspace, *policy), check=True, capture_output=True)
        dataset = read_dataset(workspace / "dataset.parquet")
        name = " ".join(policy) or "default"
        columns[name] = dataset.targets.sum(axis=0, dtype=int)
        columns[f"{name}, unknown"] = (~dataset.label_mask).sum(axis=0)
    table = pd.DataFrame(columns, index=pd.Index(dataset.classes)).sort_values("default", ascending=False, kind="stable")
    print("\n| class | " + " | ".join(table.columns) + " |\n|" + " --- |" * (1 + len(table.columns)))
    for row in table.itertuples():
        print("| " + " | ".join([str(row[0]), *(f"{value:,}" for value in row[1:])]) + " |")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        workspace, images = Path(name), Path(name) / "nowhere"
        (images / "images").mkdir(parents=True)
        (workspace / "images").mkdir()
        Image.new("L", (SIZE, SIZE)).save(images / "images/x.png")
        put(workspace, read_chestxray14(images, Path(sys.argv[1])).source)
        put(workspace, read_chexpert(images, Path(sys.argv[2])).source)
        counts(workspace)
        speed(sys.argv[1:3], workspace)


if __name__ == "__main__":
    main()
