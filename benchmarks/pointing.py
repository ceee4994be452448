"""Whether the attention of each label's query hits the finding: hard phantoms, whose findings have boxes.

Usage: python benchmarks/pointing.py WORKSPACE BOXES DRAWN RUN [RUN ...]

WORKSPACE holds `dataset.parquet` and the runs; BOXES is the `boxes.csv` of `cxrlt demo --findings hard`, in pixels of pictures
of DRAWN px. For each test image and each of its findings, the pointing game of `cxrlt explain --boxes --tolerance 0.0625`: does
the highest place of the label's attention lie in the box, widened by 1/16 of the side? "any place" is how often a random place
would. A finding counts as found where its image is among the n highest scores of its class, of n positives. The command
measures all maps on all findings; this script adds which findings were found.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cxrlt_cli.artifacts.boxes import LabelledBox, read_boxes
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.console import table
from cxrlt_cli.data.augment import normalise, to_unit
from cxrlt_cli.data.dataset_images import DatasetImages
from cxrlt_cli.explain.attention import attention_map
from cxrlt_cli.explain.box_metrics import hits as hits_box
from cxrlt_cli.explain.box_metrics import mask_of
from cxrlt_cli.explain.boxes import findings_of
from cxrlt_cli.explain.heatmap import enlarged
from cxrlt_cli.predict.members import Member, load_members
from cxrlt_cli.preprocess.settings import settings_from

BATCH = 64


@dataclass(frozen=True)
class Scored:
    """Logits (N, C) and attention (N, C, h, w) of the test images."""

    logits: np.ndarray
    attention: np.ndarray


def scored(member: Member, part: Dataset) -> Scored:
    images, logits, maps = DatasetImages(part), [], []
    with torch.no_grad():
        for start in range(0, len(part.table), BATCH):
            rows = np.arange(start, min(start + BATCH, len(part.table)))
            features = member.network.encode(normalise(to_unit(torch.from_numpy(images.read(rows)))))
            attention = attention_map(member.network, features)
            assert attention is not None, f"{member.name} has no label queries"
            logits.append(member.network.classify(features).numpy())
            maps.append(attention.numpy())
    return Scored(np.concatenate(logits), np.concatenate(maps))


def hits(found: Scored, part: Dataset, boxes: list[LabelledBox], drawn: int, classes: list[str]) -> pd.DataFrame:
    """A row a finding of a test image: class, whether it is found, whether the highest place hits its box, chance."""
    settings = settings_from(part.settings, part.path)
    rows = {name: at for at, name in enumerate(part.table["image_id"])}
    order = np.argsort(np.argsort(-found.logits, axis=0), axis=0)
    known = [box for box in boxes if box.image in rows]
    findings, _ = findings_of(known, lambda _: (drawn, drawn), settings, classes)
    positives = Counter(finding.label for finding in findings)
    lines = []
    for finding in findings:
        at, label = rows[finding.image], finding.label
        wide = mask_of(finding.boxes, settings.size, settings.size / 16)
        hit = hits_box(enlarged(found.attention[at, label], settings.size), wide)
        lines.append((classes[label], bool(order[at, label] < positives[label]), hit, wide.mean()))
    return pd.DataFrame(lines, columns=["class", "found", "hit", "chance"])


def main(workspace: Path, boxes: Path, drawn: int, runs: list[str]) -> None:
    torch.set_num_threads(2)
    part = read_dataset(workspace / "dataset.parquet").split("test")
    given = read_boxes(boxes)
    lines = []
    for name in runs:
        [member] = load_members([Run(workspace / "runs" / name)], torch.device("cpu"))
        result = scored(member, part)
        of_all = hits(result, part, given, drawn, member.classes)
        seen = of_all[of_all["found"]]
        places = "{} x {}".format(*result.attention.shape[2:])
        numbers = [
            of_all["hit"].mean(),
            seen["hit"].mean(),
            seen.groupby("class")["hit"].mean().mean(),
            of_all["chance"].mean(),
        ]
        lines.append([name, places, str(len(of_all)), str(len(seen)), *(f"{number:.2f}" for number in numbers)])
        by_class = seen.groupby("class")["hit"].agg(["size", "mean"])
        print(
            table([name, "found", "hit"], [[str(c), str(int(r["size"])), f"{r['mean']:.2f}"] for c, r in by_class.iterrows()])
        )
    header = ["run", "places", "findings", "found", "hit, all", "hit, found", "hit, found, mean of classes", "any place"]
    print(table(header, lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
