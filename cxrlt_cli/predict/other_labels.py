"""`predict --labels`: scores the labels of a file instead of the trained ones, for runs with `--classifier text`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxrlt_cli.artifacts.run_config import BestCheckpoint, RunLabels
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.text.embed import embed_texts
from cxrlt_cli.text.label_texts import read_label_texts

#: Keys of the label embeddings in a checkpoint; decoder and classifier share them.
_QUERIES = ("decoder.queries.queries", "classifier.queries.queries")


def with_labels(best: BestCheckpoint, path: Path, labels: Path) -> BestCheckpoint:
    """A run's checkpoint for the labels of a file: their embeddings replace those of the trained labels.

    A label with the same texts as a trained label gets the embedding that the run stores.

    Args:
        best: the checkpoint.
        path: where it was read from.
        labels: a CSV with the columns class, prompt and, optionally, description.

    Raises:
        UserError: the run cannot score other labels, a text is empty or there twice, or the run's text encoder is not on this
            machine or has changed.
    """
    spec, run = best.spec, best.config.label_texts
    if spec.get("classifier") != "text" or best.fusion is not None:
        kind = "learned fusion" if best.fusion is not None else f"--classifier {spec.get('classifier')}"
        raise UserError(
            f"{path} has {kind}, which knows the trained labels only: it cannot score those of {labels}",
            "train with --classifier text, whose weights come from the label's text",
        )
    if run is None:
        raise UserError(f"{path} keeps no label texts", "train the run again with this version")
    prompts = label_prompts(labels, run.encoder.get("text", "both"))
    vectors = _vectors(best.model[_QUERIES[0]].numpy(), best.classes, prompts, run, path)
    model = {**best.model, **dict.fromkeys(_QUERIES, torch.from_numpy(vectors))}
    return replace(best, classes=list(prompts), model=model, spec={**spec, "classes": len(prompts)})


def label_prompts(labels: Path, use: Any) -> dict[str, list[str]]:
    """The texts of a file of labels.

    Args:
        labels: a CSV with the columns class, prompt and, optionally, description.
        use: both, prompt or description.

    Returns:
        Class -> its texts.

    Raises:
        UserError: no such file, a text is empty or there twice, or two classes have the same texts.
    """
    prompts: dict[str, list[str]] = {}
    for text in read_label_texts(labels):
        prompts.setdefault(text.name, []).append(text.text(use))
    names: dict[tuple[str, ...], list[str]] = {}
    for name, texts in prompts.items():
        names.setdefault(tuple(sorted(texts)), []).append(name)
    alike = [" = ".join(same) for same in names.values() if len(same) > 1]
    if alike:
        raise UserError(
            f"{labels} has the same text for different labels, which would get the same scores: {listed(alike)}",
            "describe each label by a text of its own",
        )
    return prompts


def _vectors(kept: np.ndarray, classes: list[str], prompts: dict[str, list[str]], run: RunLabels, path: Path) -> np.ndarray:
    """(K, D) embeddings: stored ones for texts that the run was trained with; other texts are encoded with its encoder."""
    row = {tuple(run.prompts[name]): index for index, name in enumerate(classes)}
    new = [texts for texts in prompts.values() if tuple(texts) not in row]
    encoded: dict[tuple[str, ...], np.ndarray] = {}
    if new:
        vectors, encoder = embed_texts(new, str(run.encoder.get("name")))
        changed = [key for key in ("pooling", "sha256", "width") if encoder[key] != run.encoder.get(key, encoder[key])]
        if changed:
            raise UserError(
                f"{path} was trained with another text encoder: {run.encoder.get('name')} differs in {listed(changed)}",
                "put the files of that encoder back, or train again with embeddings of this one",
            )
        encoded = {tuple(texts): vector for texts, vector in zip(new, vectors, strict=True)}
    found = [kept[row[tuple(texts)]] if tuple(texts) in row else encoded[tuple(texts)] for texts in prompts.values()]
    return np.stack(found).astype(np.float32)
