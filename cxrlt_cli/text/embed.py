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
    prompts = [[text.text(config.text) for text in texts] for texts in texts_for(classes, read_label_texts(source), source)]
    with claimed(path, config.overwrite):
        vectors, encoder = embed_texts(prompts, config.encoder)
        encoder["text"] = config.text
        write_embeddings(path, LabelEmbeddings(classes, prompts, vectors, encoder), record(saved(config), [source]))
    say(f"{len(classes)} classes x {vectors.shape[1]} by {config.encoder} in {path}")
    say(f"most similar: {_nearest_pairs(classes, vectors)}")
    return EmbeddedLabels(path, classes, vectors.shape[1])


def _classes(space: str, workspace: Workspace) -> list[str]:
    if space == "all":
        return all_classes()
    return read_dataset(workspace.dataset).classes if space == "dataset" else read_space(space)


def embed_texts(texts: list[list[str]], name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Encodes the texts of each class; a text's vector does not depend on the others.

    Args:
        texts: of C classes, one or more each. The vectors of several are scaled to length 1 and averaged.
        name: of the encoder, `ngram` or a transformer (`text.encoders`).

    Returns:
        (C, D) float32, and the encoder's description for the header.

    Raises:
        UserError: the encoder is not on this machine, or its vectors are not finite.
    """
    flat = [text for own in texts for text in own]
    if name == "ngram":
        vectors = embed_ngrams(flat)
        encoder = {"name": name, "source": "built in", "pooling": "hashed n-grams", "sha256": ""}
    else:
        from cxrlt_cli.text.transformer import embed_with_transformer, files_hash  # torch and transformers

        files = find_encoder(name)
        vectors = embed_with_transformer(flat, files.folder)
        encoder = {"name": name, "source": files.source, "pooling": "masked mean", "sha256": files_hash(files.folder)}
    if not np.isfinite(vectors).all():
        raise UserError(f"{name} returned vectors that are not finite", "its weights are damaged: fetch them again")
    ends = np.cumsum([len(own) for own in texts])[:-1]
    merged = np.stack([_mean_direction(own) for own in np.split(vectors, ends)])
    return merged, {**encoder, "width": merged.shape[1]}


def _mean_direction(vectors: np.ndarray) -> np.ndarray:
    """(D,) of (T, D) vectors: the mean after scaling each to length 1; a single vector stays as it is."""
    if len(vectors) == 1:
        return np.asarray(vectors[0])
    return np.asarray((vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).mean(axis=0))


def _nearest_pairs(classes: list[str], vectors: np.ndarray, most: int = 4) -> str:
    """The most similar pairs of classes by cosine similarity, as a plausibility check."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    first, second = np.triu_indices(len(classes), 1)
    order = np.argsort(-cosine[first, second], kind="stable")
    different = [i for i in order if canonical(classes[first[i]]) != canonical(classes[second[i]])][:most]
    return ", ".join(f"{classes[first[i]]} ~ {classes[second[i]]} ({cosine[first[i], second[i]]:.2f})" for i in different)
