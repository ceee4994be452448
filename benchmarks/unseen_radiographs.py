"""Real radiographs with four findings held out, for `cxrlt study unseen`: `python unseen_radiographs.py DATA WORKSPACE [PX]`.

DATA has `chestxray14/` (NIH's table and 1,000 of its images) and `chestxray14-256/images/` (467 others of the same table, one a
patient). Both become one table source with the 14 labels. Edema, Pneumonia, Emphysema and Fibrosis are held out, as in the
usual 10 / 4 split of ChestX-ray14; patients are split anew, because few of these images are on NIH's official test list.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd
from two_sources import FINDINGS

HELD_OUT = "Edema,Pneumonia,Emphysema,Fibrosis"


def main(data: Path, workspace: Path, size: str) -> None:
    table = pd.read_csv(data / "chestxray14/Data_Entry_2017_v2020.csv.gz").set_index("Image Index")
    folders = (data / "chestxray14/images", data / "chestxray14-256/images")
    files = {path.name: path.resolve() for folder in folders for path in sorted(folder.iterdir()) if path.name in table.index}
    rows = table.loc[list(files)]
    listing = pd.DataFrame({"image_id": list(files), "path": list(map(str, files.values()))})
    listing["patient_id"] = rows["Patient ID"].to_numpy()
    for name in FINDINGS:
        listing[name] = [int(name in found.split("|")) for found in rows["Finding Labels"]]
    workspace.mkdir(parents=True, exist_ok=True)
    listing.to_csv(workspace / "both.csv", index=False)
    source = ["--source", f"table={workspace / 'both.csv'}", "--name", "both", "--label-columns", ",".join(FINDINGS)]
    for command in (
        ["cache", *source, "--size", size],
        ["embed-labels", "--encoder", "ngram"],
        ["merge", "--label-space", "chestxray14", "--split", "60,10,30", "--hold-out", HELD_OUT, "--same-picture", "keep"],
    ):
        subprocess.run([sys.executable, "-m", "cxrlt_cli", *command, "--workspace", workspace], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "96")
