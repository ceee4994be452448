"""A stage's options are the fields of its frozen dataclass: flag, help, saved form and resume check in one place."""

import dataclasses
import inspect
import shlex
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer

from cxrlt_cli.errors import UserError
from cxrlt_cli.paths import refuse_not_utf8
from cxrlt_cli.workspace import Workspace

Config = TypeVar("Config")

_WORKSPACE = Annotated[
    Path,
    typer.Option("--workspace", envvar="CXRLT_WORKSPACE", help="Folder in which all artifacts stand.", show_default="."),
]


#: The largest whole number that an option takes, where its flag does not say another.
MOST = 1_000_000


def flag(  # noqa: PLR0913 - keywords of a declaration
    default: Any,
    help: str,
    *,
    name: str = "",
    metavar: str | None = None,
    free: bool = False,
    argument: bool = False,
    most: int = MOST,
) -> Any:
    """A dataclass field that is a command-line option.

    Args:
        default: value where the option is not given.
        help: one sentence for `--help`; also the documentation of the field.
        name: the flag, where it is not the field's name with dashes.
        metavar: what stands for the value in `--help`.
        free: a resumed run may have another value (it changes nothing in the result).
        argument: a positional argument instead of a flag.
        most: the largest whole number it may be: beyond it memory or time run out before a message can be given.
    """
    metadata = {"help": help, "name": name, "metavar": metavar, "free": free, "argument": argument, "most": most}
    return dataclasses.field(default=default, metadata=metadata)


def _parameter(field: "dataclasses.Field[Any]", hint: Any) -> inspect.Parameter:
    """The parameter from which Typer builds the option of one field."""
    meta = field.metadata
    if get_origin(hint) is tuple:  # repeatable: Typer knows it as a list
        hint = list[get_args(hint)[0]]  # type: ignore[misc]
    info: Any
    if meta["argument"]:
        info = typer.Argument(help=meta["help"], metavar=meta["metavar"])
    else:
        name = _flag_name(field)
        shown = "[default:" not in meta["help"]  # else the help says it better than the value
        info = typer.Option(name, help=meta["help"], metavar=meta["metavar"], show_default=shown)
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, kind, default=default, annotation=Annotated[hint, info])


def _flag_name(field: "dataclasses.Field[Any]") -> str:
    return field.metadata["name"] or "--" + field.name.replace("_", "-")


def _refuse_huge_numbers(fields: Iterable["dataclasses.Field[Any]"], values: dict[str, Any]) -> None:
    for field in fields:
        value, most = values.get(field.name), field.metadata["most"]
        if isinstance(value, int) and value > most:
            raise UserError(f"{_flag_name(field)} {value} is more than {most:,}", "give a smaller number")


def add_command(app: typer.Typer, name: str, config: type[Config], run: Callable[[Config, Workspace], None]) -> None:
    """Registers `run` as the subcommand `name`; the fields of `config` are its options, its docstring the help."""
    hints = get_type_hints(config)
    fields = dataclasses.fields(config)  # type: ignore[arg-type]
    parameters = [_parameter(field, hints[field.name]) for field in fields]
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters.append(inspect.Parameter("workspace", kind, default=Path(), annotation=_WORKSPACE))

    def call(**values: Any) -> None:
        refuse_control_characters(values.values())
        _refuse_huge_numbers(fields, values)
        workspace = Workspace(values.pop("workspace"))
        frozen = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        for key, value in (*frozen.items(), ("workspace", workspace.root)):
            for text in value if isinstance(value, tuple) else (value,):
                refuse_not_utf8("--" + key.replace("_", "-"), text)
        run(config(**frozen), workspace)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    call.__doc__ = config.__doc__
    app.command(name)(call)


def refuse_control_characters(values: Iterable[Any]) -> None:
    """Options enter file names, batch scripts and messages: a newline in one of them would begin a line of its own there.

    Args:
        values: of options; of those that are lists, each item.

    Raises:
        UserError: a text or a path holds a control character, or a separator of lines or paragraphs.
    """
    for value in values:
        for text in map(str, value if isinstance(value, list | tuple) else [value]):
            if not text.isprintable() and any(unicodedata.category(mark) in ("Cc", "Zl", "Zp") for mark in text):
                raise UserError(
                    f"{text!r}: an option holds a control character", "leave out line breaks, tabs and escape sequences"
                )


def parsed_options(command: str, config: type[Config], words: Sequence[str]) -> Config:
    """The options that a command line of another command comes to, so that a typing error in it is found before it is run.

    Args:
        command: the command.
        config: the class of its options.
        words: what follows `cxrlt COMMAND`.

    Raises:
        UserError: an option out of its range or grammar, or one that only prints, as `--help`.
        SystemExit: an option that the command does not have; the message is printed.
    """
    made: list[Config] = []
    only = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    add_command(only, command, config, lambda options, _: made.append(options))
    try:
        only(list(words), prog_name=f"cxrlt {command}")
    except SystemExit as end:
        if end.code:
            raise
    if not made:
        raise UserError(f"cxrlt {command} {shlex.join(words)} does no work", "leave out --help")
    return made[0]


def split_flags(flag_name: str, text: str) -> list[str]:
    """The words of an option that holds flags of another command. Raises UserError where a quote is not closed."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{flag_name} {text!r}: {error}", 'as in --train "--encoder resnet18 --epochs 10"') from error


def saved(config: Any) -> dict[str, Any]:
    """A stage's options as JSON holds them: paths as text, tuples as lists."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    return {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def refuse_changed(config: Any, before: dict[str, Any], where: Path) -> None:
    """Resuming goes on with the options of the start.

    Raises:
        UserError: an option that decides the result differs from the saved one; every such option is named.
    """
    now = saved(config)
    decisive = [field.name for field in dataclasses.fields(config) if not field.metadata.get("free")]
    changed = [name for name in decisive if name not in before or before[name] != now[name]]
    if changed:
        rows = (f"--{name.replace('_', '-')}: {before.get(name, 'not there')!r} then, {now[name]!r} now" for name in changed)
        raise UserError(
            f"{where} was begun with other options: " + "; ".join(rows),
            "give the options of the start to go on with it, or --overwrite to begin again, or another --name",
        )
