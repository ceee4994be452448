"""Options of `cxrlt embed-labels`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.options import flag


@dataclass(frozen=True)
class EmbedLabelsConfig:
    """Encode label texts as vectors, the queries of the network.

    Writes label_embeddings.parquet, one vector per class. Downloads nothing: run `cxrlt fetch --encoder NAME` on a machine with
    internet first.
    """

    encoder: str = flag(
        "pubmedbert",
        "Text encoder: pubmedbert, med-kebert, clinical-t5, minilm, a folder, or a name on the Hugging Face hub. ngram: "
        "built in, compares spelling, not meaning.",
        metavar="NAME",
    )
    label_space: str = flag(
        "all", "all (the classes of all built-in label spaces), a label space, dataset, or a file with one class per line."
    )
    texts: Path | None = flag(
        None, "Label texts: a CSV with the columns class,prompt,description [default: built in, or the name of the class]"
    )
    text: Literal["both", "prompt", "description"] = flag("both", "Text to encode. both: 'prompt. description'.")
    output: Path | None = flag(None, "Embeddings to write [default: label_embeddings.parquet]")
    overwrite: bool = flag(False, "Replace existing embeddings.", name="--overwrite")
