"""JSON on disk: written whole, read and checked, NaN as null."""

import json
import math
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.files import write_text
from cxrlt_cli.artifacts.parsing import as_json, damage_reported
from cxrlt_cli.errors import UserError, reason, reported_os_errors
from cxrlt_cli.paths import is_file, refuse_no_file


def read_figures(file: Path, format: str, version: int, made_by: str, oldest: int | None = None) -> dict[str, Any]:
    """Reads a JSON artifact.

    Args:
        file: the JSON file.
        format: required value of its key `format`.
        version: the newest version that this code reads.
        made_by: the command that makes such a file, for the hint.
        oldest: the oldest version that this code reads, if it differs.

    Raises:
        UserError: not there, not JSON, or of another format or version.
    """
    hint = f"make it with: {made_by}"
    if not is_file(file):
        raise UserError(f"{file} is not there", hint)
    content = _object(file, hint)
    if content.get("format") != format or content.get("version") not in range(oldest or version, version + 1):
        raise UserError(f"{file} is not {format} of version {version}", hint)
    return content


def _object(file: Path, hint: str) -> dict[str, Any]:
    """A JSON object. Raises UserError where the file cannot be read, or is not one."""
    refuse_no_file(file, hint)
    with damage_reported(file, hint):
        try:
            with reported_os_errors(f"cannot read {file}"):
                content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{file} cannot be read as JSON: {reason(error)}", hint) from error
        if not isinstance(content, dict):
            raise ValueError("it does not hold a JSON object")
    return content


def without_nan(value: Any) -> Any:
    """The same with None for NaN, which JSON does not know, and objects for dataclasses."""
    if is_dataclass(value):
        return without_nan(as_json(value))
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_json(path: Path, content: Any) -> None:
    """Writes JSON; the file appears when it is whole. NaN and infinity are a ValueError: JSON has neither."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object of a run. Raises UserError where it is not there or not one."""
    return _object(path, "the run is damaged: train it again with --overwrite")
