"""Whether explanations point at what is there: phantoms, whose findings' places are known.

Usage: python benchmarks/explain.py RUN [PICTURES]

Each picture is painted twice with the same random numbers, with a finding and without: where they differ is the truth, and the
one without is what the other becomes when an area is deleted. For each way to explain:

- pointing: how often the highest place of the map lies in the truth, which is widened by 1/16 of the side (the pointing game;
  Zhang et al., ECCV 2016), against how often any place would;
- energy: the share of the map inside the truth, in multiples of the truth's area;
- deletion: the marked tenth of the picture is replaced by the picture without the finding; how much of what the finding adds
  to the logit goes, against the same for an area of the same form elsewhere, and how often it is more.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.console import table
from cxrlt_cli.data.augment import normalise, to_unit
from cxrlt_cli.demo.anatomy import expose, new_patient, new_position
from cxrlt_cli.demo.findings import paint
from cxrlt_cli.demo.population import FINDINGS
from cxrlt_cli.explain.attention import attention_map
from cxrlt_cli.explain.attribution import METHODS, attribution
from cxrlt_cli.explain.heatmap import enlarged, marked
from cxrlt_cli.predict.members import Member, load_members
from cxrlt_cli.preprocess.resize import resize

DRAWN, SEED, AREAS = 192, 20_231_114, 8  # px; of pictures that no demonstration draws; random areas a picture


@dataclass(frozen=True)
class Picture:
    """One finding with its truth: pictures (S, S) uint8, truth (S, S) bool."""

    finding: str
    sick: np.ndarray
    healthy: np.ndarray
    truth: np.ndarray


def pictures(finding: str, count: int, size: int) -> Iterator[Picture]:
    for number in range(count):
        patient = new_position(new_patient(np.random.default_rng((SEED, number))), np.random.default_rng((SEED, number, 1)))
        painted = [paint(found, patient, np.random.default_rng((SEED, number, 2)), DRAWN) for found in ({finding}, set())]
        change = np.abs(painted[0].density - painted[1].density)
        shown = [resize(expose(one, np.random.default_rng((SEED, number, 3))), (size, size), "area") for one in painted]
        truth = enlarged((change > 0.4 * change.max()).astype(np.float32), size) > 0.25
        yield Picture(finding, shown[0], shown[1], truth)


def logits(member: Member, images: list[np.ndarray], label: int) -> np.ndarray:
    with torch.no_grad():
        return member.network(normalise(to_unit(torch.from_numpy(np.stack(images)))))[:, label].numpy()


def maps(member: Member, picture: Picture, label: int) -> dict[str, np.ndarray]:
    image = normalise(to_unit(torch.from_numpy(picture.sick).unsqueeze(0)))
    with torch.no_grad():
        features = member.network.encode(image)
    found = {method: attribution(member.network, image, [label], method)[0, 0] for method in METHODS}
    for layers in ("last", "rollout"):
        attention = attention_map(member.network, features, layers)  # type: ignore[arg-type]
        if attention is not None:
            found[f"attention, {layers}"] = attention[0, label]
    return {name: enlarged(values.numpy(), len(picture.sick)) for name, values in found.items()}


def widened(truth: np.ndarray) -> np.ndarray:
    reach = len(truth) // 16
    spread = torch.nn.functional.max_pool2d(torch.from_numpy(truth[None].astype(np.float32)), 2 * reach + 1, 1, reach)
    return spread[0].numpy() > 0


def score_map(member: Member, picture: Picture, label: int, values: np.ndarray, draws: np.random.Generator) -> list[float]:
    """Pointing and its chance, energy, shares of the finding's effect that go with the marked and with random areas, wins."""
    near, area = widened(picture.truth), marked(values)
    side = len(area)
    areas = [area, *(np.roll(area, draws.integers(side // 8, side - side // 8, 2), axis=(0, 1)) for _ in range(AREAS))]
    deleted = [np.where(one, picture.healthy, picture.sick) for one in areas]
    sick, healthy, *after = logits(member, [picture.sick, picture.healthy, *deleted], label).tolist()
    gone = (sick - np.array(after)) / (sick - healthy)
    energy = values[picture.truth].sum() / max(float(values.sum()), 1e-12) / picture.truth.mean()
    hit = float(near.flat[int(values.argmax())] and values.max() > 0)
    return [hit, float(near.mean()), float(energy), float(gone[0]), float(gone[1:].mean()), float((gone[0] > gone[1:]).mean())]


def main(run: Path, count: int) -> None:
    torch.set_num_threads(1)
    [member] = load_members([Run(run)], torch.device("cpu"))
    draws = np.random.default_rng(SEED)
    rows: list[tuple[str, str, list[float]]] = []
    seen: dict[str, str] = {}
    for finding in FINDINGS:
        label, size, skipped = member.classes.index(finding), int(member.pixels["size"]), 0
        for picture in pictures(finding, count, size):
            sick, healthy = logits(member, [picture.sick, picture.healthy], label)
            if sick - healthy < 0.5:  # the network does not see it: there is nothing to explain
                skipped += 1
                continue
            for name, values in maps(member, picture, label).items():
                rows.append((finding, name, score_map(member, picture, label, values, draws)))
        seen[finding] = f"{count - skipped} of {count}"
    ways = list(dict.fromkeys(name for _, name, _ in rows))
    header = ["", "pointing", "any place", "energy", "gone, marked", "gone, random", "marked is more"]
    body = [[way, *cells([one for _, name, one in rows if name == way])] for way in ways]
    print(table(header, body), "\n")
    lines = []
    for finding in FINDINGS:
        of = {way: [one for about, name, one in rows if (about, name) == (finding, way)] for way in ways}
        some = of[ways[0]]
        chance = f"{np.mean([one[1] for one in some]):.2f}" if some else "-"
        lines.append(
            [finding, seen[finding], chance, *(f"{np.mean([o[0] for o in of[w]]):.2f}" if some else "-" for w in ways)]
        )
    print(table(["pointing, by finding", "seen", "any place", *ways], lines))


def cells(found: list[list[float]]) -> list[str]:
    values = np.array(found)
    middle = np.median(values, axis=0)
    mean = values.mean(axis=0)
    return [f"{mean[0]:.2f}", f"{mean[1]:.2f}", f"{middle[2]:.1f}x", f"{middle[3]:.2f}", f"{middle[4]:.2f}", f"{mean[5]:.2f}"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20)
