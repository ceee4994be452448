"""How far an exported model and its stand-alone script are from the run: `python benchmarks/export.py RUN DATASET FOLDER...`.

1. `cxrlt export` of the run, compared on 1,000 images of the dataset with ONNX Runtime: the same squares, so that only the
   arithmetic differs.
2. The script that is written beside it, on the image files of each folder, against `cxrlt predict --images`: decoding and
   resizing differ too.

Needs `cxrlt[onnx]`. Writes to a temporary workspace, and prints two tables in Markdown.
"""

import csv
import subprocess
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

import numpy as np

from cxrlt_cli.artifacts.predictions import read_predictions
from cxrlt_cli.config.export import ExportConfig
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.predict.predict import predict_images
from cxrlt_cli.results import ExportedModel
from cxrlt_cli.share.export import export_model
from cxrlt_cli.workspace import Workspace

COUNT = 1000


def main(run: str, dataset: Path, folders: list[Path]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        print("| format | images | largest difference of a logit |\n| --- | --- | --- |")
        for form in ("onnx", "torch"):
            made = export_model(ExportConfig(run, form, dataset=dataset, compare=COUNT, name="model"), workspace)
            print(f"| {form} | {made.images} | {made.difference:.1e} |", flush=True)
            if made.script:
                onnx = made
        print("\n| image files | px | images/s of the script | logit apart: mean | 99 % | largest | probability: largest |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for number, pictures in enumerate(folders):
            print(row(run, onnx, pictures, workspace, f"folder{number}"), flush=True)


def row(run: str, made: ExportedModel, pictures: Path, workspace: Workspace, name: str) -> str:
    """The script against `predict --images`, for one folder."""
    scored = predict_images(PredictConfig((run,), images=pictures, name=name, workers=1), workspace)
    expected = read_predictions(scored.path)
    began = time.perf_counter()
    command = [sys.executable, str(made.script), *(str(pictures / name) for name in expected.image_ids)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    speed = len(expected.image_ids) / (time.perf_counter() - began)
    found = np.array([float(line["logit"]) for line in csv.DictReader(StringIO(ended.stdout))]).reshape(expected.logits.shape)
    apart = np.abs(found - expected.logits)
    probabilities = np.abs(1 / (1 + np.exp(-found)) - 1 / (1 + np.exp(-expected.logits.astype(float))))
    parts = [pictures.parent.name, sides(pictures, expected.image_ids), f"{speed:.0f}"]
    parts += [f"{value:.4f}" for value in (apart.mean(), np.quantile(apart, 0.99), apart.max(), probabilities.max())]
    return f"| {len(expected.image_ids)} of {' | '.join(parts)} |"


def sides(pictures: Path, names: list[str]) -> str:
    """Width and height of the images, where they are all alike."""
    from PIL import Image

    found = {Image.open(pictures / name).size for name in names}
    return "x".join(map(str, found.pop())) if len(found) == 1 else "several"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
