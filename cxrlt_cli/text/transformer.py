"""Text embeddings from a transformer encoder: the masked mean of the last layer's token vectors."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cxrlt_cli.console import quiet_transformers, warn
from cxrlt_cli.errors import UserError, listed, reason
from cxrlt_cli.paths import is_file

_AGAIN = "fetch the files again, or name another encoder"
_ENDINGS = ("safetensors", "bin", "json", "txt", "model")


def embed_with_transformer(texts: list[str], folder: Path, batch_size: int = 1) -> np.ndarray:
    """Encodes texts with a BERT, a T5 encoder or any model supported by `AutoModelForTextEncoding`.

    The vector of a text is the mean over its tokens without padding. The pooler is not used: models trained only by masked
    language modelling leave it untrained. Vectors are not normalised.

    Args:
        texts: N texts.
        folder: configuration, weights and tokenizer, as `save_pretrained` writes them.
        batch_size: texts per forward pass; with 1, the last digits of a vector do not depend on the other texts.

    Returns:
        (N, D) float32, D is the model's width.

    Raises:
        UserError: unreadable files, encoder weights missing from the file, or a tokenizer that needs another package,
            does not know the words of a text, or belongs to another model.
    """
    with quiet_transformers():
        tokenizer, model = _load(folder)
        ids = tokenizer(texts)["input_ids"]
    _refuse_another_tokenizer(texts, ids, tokenizer, model, folder)
    longest = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 1 << 30))
    _warn_of_cut_texts(texts, ids, longest)
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
    for path in sorted(path for path in folder.iterdir() if is_file(path) and path.suffix.lstrip(".") in _ENDINGS):
        with path.open("rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForTextEncoding, AutoTokenizer

    _require_tokenizer_packages(folder)
    # without trust_remote_code=False, transformers asks whether to run code
    only_here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **only_here)
        model, info = AutoModelForTextEncoding.from_pretrained(
            folder, output_loading_info=True, dtype=torch.float32, **only_here
        )
    except ImportError as error:
        raise UserError(f"{folder}: {reason(error)}", "pip install 'cxrlt[t5]'") from error
    except Exception as error:
        raise UserError(f"{folder} cannot be loaded as a text encoder: {reason(error)}", _AGAIN) from error
    absent = sorted(key for key in info["missing_keys"] if "pooler" not in key)
    if absent or info["mismatched_keys"]:
        raise UserError(f"{folder}: the weights belong to another model, they lack {listed(absent, 3)}", _AGAIN)
    return tokenizer, model.eval()


def _require_tokenizer_packages(folder: Path) -> None:
    """SentencePiece tokenizers need packages that other tokenizers do not."""
    from transformers.utils.import_utils import is_protobuf_available, is_sentencepiece_available

    if is_file(folder / "tokenizer.json") or not any(folder.glob("*.model")):
        return
    there = {"sentencepiece": is_sentencepiece_available(), "protobuf": is_protobuf_available()}
    absent = [name for name, is_there in there.items() if not is_there]
    if absent:
        hint = f"pip install 'cxrlt[t5]'; or: pip install {' '.join(absent)}"
        raise UserError(f"{folder}: its tokenizer needs {listed(absent)}", hint)


def _refuse_another_tokenizer(texts: list[str], ids: list[list[int]], tokenizer: Any, model: Any, folder: Path) -> None:
    """Without its vocabulary a tokenizer maps every word to unknown, and all labels would get nearly the same vector."""
    read = [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in ids]
    unread = [text[:40] for text, known in zip(texts, read, strict=True) if not any(mark.isalnum() for mark in known)]
    if unread:
        raise UserError(
            f"{folder}: the tokenizer does not know any word of {listed(unread, 3)}",
            f"check that its vocabulary file exists; {_AGAIN}",
        )
    if max(map(max, ids)) >= model.get_input_embeddings().num_embeddings:
        raise UserError(f"{folder}: the tokenizer belongs to another model, it has tokens that the weights lack", _AGAIN)


def _warn_of_cut_texts(texts: list[str], ids: list[list[int]], longest: int) -> None:
    beyond = [(text, len(tokens) - longest) for text, tokens in zip(texts, ids, strict=True) if len(tokens) > longest]
    if beyond:
        cut = [f"{text[:40]}… ({count} tokens cut)" for text, count in beyond]
        warn(f"{len(cut)} texts are longer than the encoder's {longest} tokens: {listed(cut, 3)}")
