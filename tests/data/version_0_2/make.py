"""Makes the files of this folder: see README.md. Run it with the package of version 0.2.0, never with a later one.

OMP_NUM_THREADS=1 PYTHONPATH=CHECKOUT_OF_0.2.0 python make.py
"""

import csv
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
import tiny_encoder  # noqa: E402, F401 - makes `timm:tiny_golden` known

from cxrlt_cli.app import main  # noqa: E402
from cxrlt_cli.train import checkpointing  # noqa: E402

LABELS = ("Effusion", "Mass", "Nodule")
TRAIN = (
    "--encoder=timm:tiny_golden --weights=none --epochs=5 --batch-size=8 --lr=0.03 --decoder-width=8 --decoder-heads=2 "
    "--decoder-feedforward=8 --device=cpu --precision=fp32 --layout=plain --seed=7"
)
STUDY = """asks = "Does MixUp pay?"
[variants."plain"]
[variants."mixup"]
train = ["--mixup=0.2"]
"""
KEPT = (
    "images", "dataset.parquet", "label_embeddings.parquet", "runs", "predictions", "calibrations", "ensembles", "evaluations",
    "comparisons", "explanations/whole/maps.parquet", "studies/mixup",
)  # fmt: skip


def cxrlt(text: str, ends: int = 0) -> None:
    """Runs a command in this process, in the current folder."""
    sys.argv = ["cxrlt", *text.split()]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    if code != ends:
        raise SystemExit(f"{text}: ended with {code}, not {ends}")


def draw(folder: Path) -> None:
    """60 pictures of 30 patients: each label adds a bright spot at its own place. One picture cannot be read."""
    rng = np.random.default_rng(5)
    folder.mkdir()
    with Path("table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_id", "patient_id", "study_id", "view", "sex", "age", "path", *LABELS])
        for number in range(60):
            patient = number // 2
            labels = rng.random(3) < (0.5, 0.35, 0.3)
            pixels = rng.normal(90, 25, (16, 16))
            for c in np.flatnonzero(labels):
                pixels[5 * c : 5 * c + 4, 5 * c : 5 * c + 4] += 110
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
            view, sex = ("PA", "LATERAL")[number % 2], "MF"[patient % 2]
            said = ["" if number % 11 == 3 and c == 2 else int(label) for c, label in enumerate(labels)]
            rows.writerow(
                [f"i{number:02}", f"p{patient:02}", f"s{patient:02}", view, sex, 20 + patient, f"png/{number}.png", *said]
            )
    (folder / "41.png").write_bytes(b"no picture")


def stop_after_first_epoch(run: Any, epochs: Any) -> None:
    """Replaces `write_history`: writes it, then asks the process to stop, as a batch system does."""
    write_history(run, epochs)
    os.kill(os.getpid(), signal.SIGUSR1)


write_history = checkpointing.write_history


def make() -> None:
    """Makes the workspace in the current folder."""
    draw(Path("png"))
    for part in ("0/2", "1/2"):
        labels = ",".join(LABELS)
        cxrlt(f"cache --source=table=table.csv --size=16 --label-columns={labels} --name=clinic --workers=1 --shard={part}")
    cxrlt("join clinic")
    Path("labels.txt").write_text("\n".join(LABELS) + "\n")
    cxrlt("merge --label-space=labels.txt --split=50,25,25")
    cxrlt("embed-labels --encoder=ngram --label-space=dataset")
    cxrlt(f"train {TRAIN} --name=whole")
    checkpointing.write_history = stop_after_first_epoch
    cxrlt(f"train {TRAIN} --name=stopped", ends=75)
    checkpointing.write_history = write_history
    cxrlt("fuse whole --epochs=2 --device=cpu --name=fused")
    cxrlt("predict whole --device=cpu --name=whole")
    cxrlt("predict fused --device=cpu --name=fused")
    cxrlt("calibrate runs/whole --name=warm")
    cxrlt("calibrate runs/whole --name=steps --method=isotonic")
    cxrlt("predict whole --device=cpu --calibrate=warm --name=calibrated")
    cxrlt("evaluate whole --bootstrap=100 --groups=0.4,0.25 --by=sex --thresholds-from=runs/whole")
    cxrlt("evaluate calibrated --bootstrap=0")
    cxrlt("compare predictions/whole.parquet predictions/fused.parquet --bootstrap=200 --groups=0.4,0.25 --name=both")
    cxrlt("ensemble runs/whole runs/fused --select=greedy --rounds=4 --name=pair")
    cxrlt("predict --ensemble=pair --device=cpu --name=pair-test")
    cxrlt("explain whole i08 --top=1 --device=cpu --name=whole")
    Path("mixup.toml").write_text(STUDY)
    timm = TRAIN.replace("tiny_golden", "test_efficientnet").rpartition(" --seed")[0].replace("--epochs=5", "--epochs=1")
    sys.argv = ["cxrlt", "study", "mixup.toml", f"--train={timm}", "--seeds=2", "--resamples=100"]
    main()


if __name__ == "__main__":
    socket.gethostname = lambda: "host"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            make()
        except SystemExit as end:
            if end.code:
                raise
        target = HERE / "workspace"
        shutil.rmtree(target, ignore_errors=True)
        for name in KEPT:
            source, to = Path(name), target / name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to)
        for last in target.glob("runs/*/last.pt"):
            if last.parent.name != "stopped":
                last.unlink()
        for drawn in target.glob("studies/*/figure.*"):
            drawn.unlink()
        for study in target.glob("studies/*/study.json"):  # the one file that says where its workspace is
            study.write_text(study.read_text().replace(str(Path.cwd()), "WORKSPACE"))
