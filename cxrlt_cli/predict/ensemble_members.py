"""Predictions of several members for the same images, joined by id and by class name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cxrlt_cli.artifacts.files import InputFile, fingerprint
from cxrlt_cli.artifacts.predictions import Predictions, read_predictions, rows_of
from cxrlt_cli.errors import UserError, listed


@dataclass(frozen=True)
class MemberScores:
    """The predictions of all members for the same images, and the files they were read from.

    Attributes:
        paths: of the members' files.
        files: their content.
        logits: (V, N, C) joined by id and class name, in the order of the first.
        inputs: the fingerprints of the files, taken before they were read.
    """

    paths: list[Path]
    files: list[Predictions]
    logits: np.ndarray
    inputs: list[InputFile]

    def common(self, key: str) -> Any:
        """The value of a header field if all members agree; else None."""
        values = [getattr(file.header, key) for file in self.files]
        return values[0] if all(other == values[0] for other in values) else None


def read_members(paths: list[Path]) -> MemberScores:
    """Reads the predictions of members and joins them by id and class name.

    Raises:
        UserError: one cannot be read or is named twice, or they are of other classes or images.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError(f"a member is named twice: {listed(paths)}", "give it a weight instead: --member-weights")
    inputs = [fingerprint(path) for path in paths]
    files = [read_predictions(path) for path in paths]
    first = files[0]
    logits = np.empty((len(files), *first.logits.shape), dtype=np.float32)
    for index, (path, file) in enumerate(zip(paths, files, strict=True)):
        other = sorted(set(file.classes) ^ set(first.classes))
        if other:
            raise UserError(f"{path} and {paths[0]} are of other classes: {listed(other)}", "an ensemble has one label space")
        more = sorted(set(file.image_ids) - set(first.image_ids))
        if more:
            raise UserError(f"{path} scores images that {paths[0]} does not: {listed(more)}", "score the same images with both")
        columns = [file.classes.index(name) for name in first.classes]
        logits[index] = file.logits[rows_of(path, file, first.image_ids)][:, columns]
    return MemberScores(paths, files, logits, inputs)
