"""The stage `embed-labels`: turns label texts into one vector per class."""

from typing import Any

import numpy as np

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.embeddings import FORMAT, LabelEmbeddings, write_embeddings
from cxrlt_cli.artifacts.files import claimed, refuse_existing
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.config.embed_labels import EmbedLabelsConfig
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError
from cxrlt_cli.labels.spaces import all_classes, canonical, read_space
from cxrlt_cli.options import saved
from cxrlt_cli.results import EmbeddedLabels
from cxrlt_cli.text.encoders import find_encoder
from cxrlt_cli.text.label_texts import BUILT_IN, read_label_texts, texts_for
from cxrlt_cli.text.ngram import embed_ngrams
from cxrlt_cli.workspace import Workspace


def embed_label_texts(config: EmbedLabelsConfig, workspace: Workspace) -> EmbeddedLabels:
    """Embeds the labels of a label space.

    Raises:
        UserError: the output exists, the encoder is not on this machine, a class has no text, or vectors are not finite.
    """
    path = config.output or workspace.label_embeddings
    refuse_existing(path, config.overwrite)
    refuse_other_table(path, FORMAT)
    classes = _classes(config.label_space, workspace)
    source = config.texts or BUILT_IN
    prompts = [text.text(config.text) for text in texts_for(classes, read_label_texts(source), source)]
    with claimed(path, config.overwrite):
        vectors, encoder = _embed(prompts, config.encoder)
        if not np.isfinite(vectors).all():
            raise UserError(
                f"{config.encoder} returned vectors that are not finite", "its weights are damaged: fetch them again"
            )
        write_embeddings(path, LabelEmbeddings(classes, prompts, vectors, encoder), record(saved(config), [source]))
    say(f"{len(classes)} classes x {vectors.shape[1]} by {config.encoder} in {path}")
    say(f"most similar: {_nearest_pairs(classes, vectors)}")
    return EmbeddedLabels(path, classes, vectors.shape[1])


def _classes(space: str, workspace: Workspace) -> list[str]:
    if space == "all":
        return all_classes()
    return read_dataset(workspace.dataset).classes if space == "dataset" else read_space(space)


def _embed(prompts: list[str], name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The vectors, and the encoder's description for the header."""
    if name == "ngram":
        vectors = embed_ngrams(prompts)
        return vectors, {
            "name": name,
            "source": "built in",
            "pooling": "hashed n-grams",
            "width": vectors.shape[1],
            "sha256": "",
        }
    from cxrlt_cli.text.transformer import embed_with_transformer, files_hash  # torch and transformers

    files = find_encoder(name)
    vectors = embed_with_transformer(prompts, files.folder)
    facts = {"pooling": "masked mean", "width": vectors.shape[1], "sha256": files_hash(files.folder)}
    return vectors, {"name": name, "source": files.source, **facts}


def _nearest_pairs(classes: list[str], vectors: np.ndarray, most: int = 4) -> str:
    """The most similar pairs of classes by cosine similarity, as a plausibility check."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    first, second = np.triu_indices(len(classes), 1)
    order = np.argsort(-cosine[first, second], kind="stable")
    different = [i for i in order if canonical(classes[first[i]]) != canonical(classes[second[i]])][:most]
    return ", ".join(f"{classes[first[i]]} ~ {classes[second[i]]} ({cosine[first[i], second[i]]:.2f})" for i in different)
