"""Two real sources of different label sets, to study missing labels on: `python two_sources.py DATA WORKSPACE [PX]`.

DATA has `chestxray14/` (NIH's table and some of its images) and `chestxray14-256/images/` (other images of the same table). The
second becomes a table source that has only every second label, as a hospital that looked for fewer findings.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd

FINDINGS = (
    "Infiltration", "Effusion", "Atelectasis", "Nodule", "Mass", "Pneumothorax", "Consolidation", "Pleural_Thickening",
    "Cardiomegaly", "Emphysema", "Edema", "Fibrosis", "Pneumonia", "Hernia",
)  # fmt: skip
KEPT = FINDINGS[::2]


def main(data: Path, workspace: Path, size: str) -> None:
    table = pd.read_csv(data / "chestxray14/Data_Entry_2017_v2020.csv.gz").set_index("Image Index")
    names = sorted(path.name for path in (data / "chestxray14-256/images").iterdir() if path.name in table.index)
    rows = table.loc[names]
    labels = {name: rows["Finding Labels"].str.split("|").map(lambda found, name=name: int(name in found)) for name in KEPT}
    paths = [str((data / "chestxray14-256/images" / name).resolve()) for name in names]
    listing = pd.DataFrame({"image_id": names, "path": paths, "patient_id": rows["Patient ID"].to_numpy()})
    for name, values in labels.items():
        listing[name] = values.to_numpy()
    workspace.mkdir(parents=True, exist_ok=True)
    listing.to_csv(workspace / "second.csv", index=False)
    second = ["--source", f"table={workspace / 'second.csv'}", "--name", "second", "--label-columns", ",".join(KEPT)]
    for command in (
        ["cache", "--source", f"chestxray14={data / 'chestxray14'}", "--name", "first", "--allow-missing", "--size", size],
        ["cache", *second, "--size", size],
        ["embed-labels", "--encoder", "minilm"],
        ["merge", "--label-space", "chestxray14", "--duplicate-ids", "first", "--train-only", "second"],
    ):
        subprocess.run([sys.executable, "-m", "cxrlt_cli", *command, "--workspace", workspace], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "224")
