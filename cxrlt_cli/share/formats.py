"""The two formats of `cxrlt export`: bytes of a file, and scores of these bytes."""

import io
import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from cxrlt_cli.errors import UserError, listed

#: Key of the description in the file's metadata.
KEY = "cxrlt"
_MOST = 2**31 - 2**20  # bytes: a protobuf message is smaller than 2 GiB

#: (B, S, S) uint8 to (B, C) float32.
Scores = Callable[[np.ndarray], np.ndarray]


def require_onnx() -> None:
    """Raises UserError where a package that writes or runs ONNX files is not installed."""
    absent = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if absent:
        raise UserError(f"--format onnx needs {listed(absent)}, not installed here", "pip install 'cxrlt[onnx]'")


def onnx_bytes(program: Any, description: dict[str, Any]) -> bytes:
    """An ONNX model: input `images`, output `logits`, and the description as JSON in its metadata.

    Args:
        program: of torch.export.
        description: as JSON.

    Raises:
        UserError: the model is larger than a file of ONNX can be.
    """
    made = torch.onnx.export(program, (), input_names=["images"], output_names=["logits"], dynamo=True, verbose=False)
    assert made is not None, "dynamo=True gives a program"
    model = made.model_proto
    if model.ByteSize() > _MOST:
        raise UserError(f"the model has {model.ByteSize() / 1e9:.1f} GB, an ONNX file at most 2", "use --format torch")
    parts = [model.graph, *model.functions]
    for item in [
        model,
        *parts,
        *(node for part in parts for node in part.node),
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ]:
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(description)
    return bytes(model.SerializeToString())


def onnx_scores(content: bytes) -> Scores:
    """The scores of ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run(["logits"], {"images": images})[0])


def torch_bytes(program: Any, description: dict[str, Any]) -> bytes:
    """A file of torch.export.save, with the description as an extra file of this name."""
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={f"{KEY}.json": json.dumps(description)})
    return file.getvalue()


def torch_scores(content: bytes) -> Scores:
    """The scores of the loaded program."""
    module = torch.export.load(io.BytesIO(content)).module()

    def scores(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(module(torch.from_numpy(images)).numpy())

    return scores
