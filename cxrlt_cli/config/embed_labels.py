"""Options of `cxrlt embed-labels`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cxrlt_cli.options import flag


@dataclass(frozen=True)
class EmbedLabelsConfig:
    """Encode label texts, the network's queries, to Parquet.

    A vector a class goes to label_embeddings.parquet. Nothing is downloaded: `cxrlt fetch --encoder NAME` gets an encoder's
    files on a machine with internet.
    """

    encoder: str = flag(
        "pubmedbert",
        "pubmedbert, med-kebert, clinical-t5, minilm, a local folder or a name on the Hugging Face hub; or ngram: built in, "
        "it knows the spelling and not the meaning.",
        metavar="NAME",
    )
    label_space: str = flag(
        "all", "all (every class of every built-in label space), one of these by name, dataset, or a file with a class a line."
    )
    texts: Path | None = flag(
        None,
        "Texts of the labels: a CSV with the columns class,prompt,description [default: built in; the name of a class where "
        "there is no text of it]",
    )
    text: Literal["both", "prompt", "description"] = flag("both", "What is encoded; both: 'prompt. description'.")
    output: Path | None = flag(None, "The embeddings to write [default: label_embeddings.parquet]")
    overwrite: bool = flag(False, "Replace existing embeddings.", name="--overwrite")
