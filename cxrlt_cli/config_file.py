"""`--config FILE`: options of a command from a TOML file, or from the `config.json` of a run. Flags win over the file."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from cxrlt_cli.errors import UserError, nearest, reason, reported_os_errors
from cxrlt_cli.paths import is_file

_MOST_BYTES = 1 << 20
_OPTIONS = "options"  # where `config.json` of a run holds them
_ACTIONS = {"resume", "overwrite"}  # of one start: a saved run does not hand them on


def options_of_file(path: Path, names: Mapping[str, str]) -> dict[str, Any]:
    """The options that a file gives, as text as they would be typed; a switch is a bool.

    Args:
        path: TOML with an option per line, as in `epochs = 10`, or JSON with the options under `options`.
        names: every way to write an option (its flag without dashes, its name in saved options) -> its parameter.

    Raises:
        UserError: not there, not TOML or JSON, an unknown or repeated option, or a value that no option has.
    """
    found: dict[str, Any] = {}
    for key, value in _read(path).items():
        if key not in names:
            known = [name for name in names if "_" not in name]
            raise UserError(f"{path}: unknown option {key!r}{nearest(key, known)}", "its options are those of --help")
        if names[key] in found:
            raise UserError(f"{path}: {key} is given twice", "leave one of them out")
        if value is not None:
            found[names[key]] = _typed(path, key, value)
    return found


def checked_values(path: Path, context: Any, texts: Mapping[str, Any]) -> dict[str, Any]:
    """The same, converted as the parameters of a command convert what is typed.

    Args:
        path: for messages.
        context: of the command line.
        texts: of `options_of_file`.

    Raises:
        UserError: a value of another type, or that is not among the choices.
    """
    parameters = {parameter.name: parameter for parameter in context.command.params}
    values = {}
    for name, text in texts.items():
        parameter = parameters[name]
        several, switch = parameter.multiple or parameter.nargs == -1, getattr(parameter, "is_flag", False)
        where = f"{path}: {parameter.opts[0]}"
        if isinstance(text, bool) != switch:
            raise UserError(f"{where} {text!r} {'is not' if switch else 'is'} true or false", "see --help")
        if isinstance(text, list) and not several:
            raise UserError(f"{where} takes one value, not a list", "see --help")
        try:
            values[name] = parameter.process_value(context, [text] if several and not isinstance(text, list) else text)
        except typer.BadParameter as error:
            raise UserError(f"{where}: {error.message}", "see --help") from error
    return values


def _read(path: Path) -> dict[str, Any]:
    hint = "write options as in: epochs = 10; or name the config.json of a run"
    if not is_file(path):
        raise UserError(f"{path} is not there", hint)
    with reported_os_errors(f"cannot read {path}"), path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise UserError(f"{path} is larger than 1 MB", hint)
    is_json = path.suffix == ".json"
    try:
        text = content.decode()
        found = json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not {'JSON' if is_json else 'TOML'}: {reason(error)}", hint) from error
    if not is_json:
        return dict(found)
    options = found.get(_OPTIONS) if isinstance(found, dict) else None
    if not isinstance(options, dict):
        raise UserError(f"{path} is not the config.json of a run: it has no options", hint)
    return {key: value for key, value in options.items() if key not in _ACTIONS}


def _typed(path: Path, key: str, value: Any) -> Any:
    """A value as it would be typed. Raises UserError for a table, a date, or a list of them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in value):
        return [str(item) for item in value]
    raise UserError(f"{path}: {key} is {value!r:.60}, not a text, a number, true, false or a list of them", "see --help")
