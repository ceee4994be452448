"""`docs/reference/cli.md` is made from the options. To make it: python tests/test_cli_reference.py > docs/reference/cli.md."""

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cxrlt_cli.app import COMMANDS
from cxrlt_cli.options import flag_name, panels

REFERENCE = Path(__file__).parents[1] / "docs/reference/cli.md"
HEAD = """\
# Command line

Made from the options of `cxrlt_cli/config` by `python tests/test_cli_reference.py > docs/reference/cli.md`.
Every command also has `--workspace PATH`, the folder of all artifacts (default: the current folder, or the environment
variable `CXRLT_WORKSPACE`), `--config FILE`, which reads options from a file, and `--help`.
Exit codes: 0 done, 1 internal error, 2 wrong usage or input, 75 and 143 stopped by
SIGUSR1 and SIGTERM after the state was saved.
"""


def _values(hint: Any, field: "dataclasses.Field[Any]") -> str:
    """What may be given: the metavar, the choices, or the type."""
    if field.metadata["metavar"]:
        return str(field.metadata["metavar"])
    if get_origin(hint) is tuple:
        hint = get_args(hint)[0]
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] if get_origin(hint) is not Literal else [hint]
    kind = kinds[0] if kinds else hint
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    return "" if kind is bool else {"str": "TEXT", "Path": "PATH"}.get(kind.__name__, kind.__name__.upper())


def _default(field: "dataclasses.Field[Any]") -> str:
    if field.default is False or field.default in (None, "", ()) or "[default:" in field.metadata["help"]:
        return ""
    value = " ".join(field.default) if isinstance(field.default, tuple) else field.default
    return f" [default: {value}]"


def _command(name: str, config: type[Any]) -> list[str]:
    hints, panel_of = get_type_hints(config), panels(config)
    title, _, body = inspect.cleandoc(config.__doc__ or "").partition("\n")
    lines = [f"## cxrlt {name}", "", title, *([body] if body else []), ""]
    fields = dataclasses.fields(config)
    for panel in dict.fromkeys(["Arguments", *panel_of.values()]):
        inside = [
            field for field in fields if (panel == "Arguments" if field.metadata["argument"] else panel == panel_of[field.name])
        ]
        if inside:
            lines += [f"| {panel} | |", "| --- | --- |"]
            for field in inside:
                values = _values(hints[field.name], field)
                shown = values or field.name.upper() if field.metadata["argument"] else f"{flag_name(field)} {values}".strip()
                text = field.metadata["help"] + _default(field)
                lines.append("| `{}` | {} |".format(*(cell.replace("|", "\\|") for cell in (shown, text))))
            lines.append("")
    return lines


def reference() -> str:
    """The page."""
    lines = [HEAD]
    for panel in dict.fromkeys(panel for _, _, panel in COMMANDS.values()):
        names = [name for name, row in COMMANDS.items() if row[2] == panel]
        lines.append(f"- {panel}: {', '.join(f'[{name}](#cxrlt-{name})' for name in names)}")
    lines.append("")
    for name, (config, _, _) in COMMANDS.items():
        lines += _command(name, config)
    return "\n".join(lines).rstrip() + "\n"


def test_the_reference_is_that_of_the_options() -> None:
    assert reference() == REFERENCE.read_text(), "run: python tests/test_cli_reference.py > docs/reference/cli.md"


if __name__ == "__main__":
    sys.stdout.write(reference())
