"""Text embeddings by a transformer's encoder: the masked mean of its last layer's token vectors."""

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.console import warn
from cxrlt_cli.errors import UserError, listed, reason

_ENDINGS = ("safetensors", "bin", "json", "txt", "model")


def embed_with_transformer(texts: list[str], folder: Path, batch_size: int = 16) -> np.ndarray:
    """Encodes texts with the encoder of a BERT, a T5 or another model that `AutoModelForTextEncoding` knows.

    The vector of a text is the mean over its tokens, padding left out. The pooler is never used: in models trained on masked
    words alone it is untrained. Vectors are as the model gives them, not scaled to length 1.

    Args:
        texts: N texts.
        folder: configuration, weights and tokenizer, as `save_pretrained` writes them.
        batch_size: texts a forward pass.

    Returns:
        (N, D) float32, D the width of the model.

    Raises:
        UserError: files that cannot be read, a model whose encoder has weights that the file does not hold, or a tokenizer
            that needs another package.
    """
    with _quiet():
        tokenizer, model = _load(folder)
    longest = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 1 << 30))
    _warn_of_cut_texts(texts, tokenizer, longest)
    vectors = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch_size):
            part = texts[start : start + batch_size]
            tokens = tokenizer(part, padding=True, truncation=True, max_length=longest, return_tensors="pt")
            known = {name: tokens[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in tokens}
            hidden = model(**known).last_hidden_state
            vectors.append(masked_mean(hidden.float(), tokens["attention_mask"]).numpy())
    return np.concatenate(vectors)


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """(B, D) mean of (B, T, D) token vectors where the (B, T) mask is 1."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def files_hash(folder: Path) -> str:
    """SHA-256 over names and contents of a model's files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lstrip(".") in _ENDINGS):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForTextEncoding, AutoTokenizer

    hint = "get the files again, or name another encoder"
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, info = AutoModelForTextEncoding.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
    except ImportError as error:
        raise UserError(f"{folder}: {reason(error)}", "pip install 'cxrlt[t5]'") from error
    except Exception as error:
        if "sentencepiece" in str(error).casefold():
            raise UserError(f"{folder}: its tokenizer needs sentencepiece", "pip install 'cxrlt[t5]'") from error
        raise UserError(f"{folder} cannot be loaded as a text encoder: {reason(error)}", hint) from error
    absent = sorted(key for key in info["missing_keys"] if "pooler" not in key)
    if absent or info["mismatched_keys"]:
        raise UserError(f"{folder}: its weights are of another model, they lack {listed(absent, 3)}", hint)
    return tokenizer, model.eval()


def _warn_of_cut_texts(texts: list[str], tokenizer: Any, longest: int) -> None:
    lengths = [len(tokens) for tokens in tokenizer(texts)["input_ids"]]
    cut = [text for text, length in zip(texts, lengths, strict=True) if length > longest]
    if cut:
        warn(f"{len(cut)} texts are longer than the encoder's {longest} tokens and are cut: {listed([t[:40] for t in cut], 3)}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers' bars and reports off the screen: what matters of them is checked and said by us."""
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("transformers").addHandler(logging.NullHandler())
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
