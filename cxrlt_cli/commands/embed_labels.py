"""`cxrlt embed-labels`."""

from cxrlt_cli.config.embed_labels import EmbedLabelsConfig
from cxrlt_cli.workspace import Workspace


def embed_labels(config: EmbedLabelsConfig, workspace: Workspace) -> None:
    """Encode label texts, the network's queries, to Parquet.

    A vector a class goes to label_embeddings.parquet. Nothing is downloaded: `cxrlt fetch --encoder NAME` gets an encoder's
    files on a machine with internet.
    """
    from cxrlt_cli.text.embed import embed_label_texts

    embed_label_texts(config, workspace)
