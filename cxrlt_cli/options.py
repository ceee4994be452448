"""A stage's options are the fields of its frozen dataclass: flag, help, saved form and resume check in one place."""

import dataclasses
import inspect
import io
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from cxrlt_cli.config_file import checked_values, options_of_file
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import refuse_not_utf8
from cxrlt_cli.workspace import Workspace

Config = TypeVar("Config")
Part = TypeVar("Part")

_WORKSPACE = Annotated[
    Path,
    typer.Option("--workspace", envvar="CXRLT_WORKSPACE", help="Folder of all artifacts.", show_default="."),
]


_CONFIG_HELP = "Read options from a TOML file, as in `epochs = 10`, or from config.json of a run; flags win over it."

#: The largest whole number that an option takes, where its flag does not say another.
MOST = 1_000_000


def flag(  # noqa: PLR0913 - keywords of a declaration
    default: Any,
    help: str,
    *,
    name: str = "",
    saved_as: str = "",
    metavar: str | None = None,
    free: bool = False,
    argument: bool = False,
    most: int = MOST,
    usual: Any = None,
) -> Any:
    """A dataclass field that is a command-line option.

    Args:
        default: value where the option is not given.
        help: one sentence for `--help`; also the documentation of the field.
        name: the flag, where it is not the field's name with dashes.
        saved_as: its key in files, if it is not the field's name.
        metavar: the name of the value in `--help`.
        free: a resumed run may have another value (it changes nothing in the result).
        argument: a positional argument instead of a flag.
        most: the largest whole number it may be: beyond it memory or time run out before a message can be given.
        usual: what the default None stands for, unless another option changes it.
    """
    shown = {"help": help, "name": name, "metavar": metavar, "argument": argument}
    metadata = {**shown, "saved_as": saved_as, "free": free, "most": most, "usual": usual}
    return dataclasses.field(default=default, metadata=metadata)


def usual_value(field: "dataclasses.Field[Any]") -> Any:
    """The default of an option; of one whose default is None, what that usually stands for."""
    return field.metadata["usual"] if field.default is None else field.default


def flag_name(field: "dataclasses.Field[Any]") -> str:
    """The flag of a field: the name it was declared with, else the field's name with dashes; of an argument its capitals."""
    if field.metadata["argument"]:
        return field.name.upper()
    return field.metadata["name"] or "--" + field.name.replace("_", "-")


def saved_name(field: "dataclasses.Field[Any]") -> str:
    """The key of an option in files."""
    return str(field.metadata.get("saved_as") or field.name)


def flag_of(config: Any, name: str) -> str:
    """The flag of the field `name` of an options object or class."""
    return flag_name(config.__dataclass_fields__[name])


def panels(config: Any) -> dict[str, str]:
    """Field -> its panel in `--help`; the class attribute PANELS names the field with which each panel begins."""
    begins, found, panel = getattr(config, "PANELS", {}), {}, "Options"
    for field in dataclasses.fields(config):
        panel = begins.get(field.name, panel)
        found[field.name] = panel
    return found


class _PanelCommand(TyperCommand):
    """Lists the options under their panels, and refuses empty values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the words of a command line. Raises UserError where one is empty, before a path of it would become `.`."""
        _refuse_empty_words(args)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes a section per panel, in the order of the fields; what has no panel goes to the last one."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record:
                last = next(reversed(sections), "Options")
                argument = parameter.param_type_name == "argument"
                title = "Arguments" if argument else getattr(parameter, "rich_help_panel", None) or last
                sections.setdefault(title, []).append(record)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def _parameter(field: "dataclasses.Field[Any]", hint: Any, panel: str) -> inspect.Parameter:
    """The parameter from which Typer builds the option of one field."""
    meta = field.metadata
    if get_origin(hint) is tuple:  # repeatable: Typer knows it as a list
        hint = list[get_args(hint)[0]]  # type: ignore[misc]
    info: Any
    if meta["argument"]:
        info = typer.Argument(help=meta["help"], metavar=meta["metavar"])
    else:
        shown = "[default:" not in meta["help"]  # else the help says it better than the value
        info = typer.Option(
            flag_name(field), help=meta["help"], metavar=meta["metavar"], show_default=shown, rich_help_panel=panel
        )
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, kind, default=default, annotation=Annotated[hint, info])


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


def _refuse_empty_words(words: list[str]) -> None:
    """An empty value is most often a variable of a shell that is not set: as a path it would be the current folder."""
    for before, word in zip(["", *words], words, strict=False):
        if not word or (word.startswith("--") and word.find("=") == len(word) - 1):
            what = word.removesuffix("=") or (before if before.startswith("--") else "an argument")
            raise UserError(f"{what} has an empty value", "leave it out, or give it a value")


def _refuse_huge_numbers(fields: Iterable["dataclasses.Field[Any]"], values: dict[str, Any]) -> None:
    for field in fields:
        value, most = values.get(field.name), field.metadata["most"]
        if isinstance(value, int) and value > most:
            raise UserError(f"{flag_name(field)} {value} is more than {most:,}", "give a smaller number")


def _file_reader(fields: Iterable["dataclasses.Field[Any]"]) -> Callable[[typer.Context, Path | None], Any]:
    """A function that reads `--config` before the other options, and makes its values their defaults."""
    names = {name: field.name for field in fields for name in (field.name, saved_name(field), _plain_flag(field))}
    names["workspace"] = "workspace"

    def read(context: typer.Context, path: Path | None) -> Any:
        if path is None or context.resilient_parsing:
            return None
        values = checked_values(path, context, options_of_file(path, names))
        context.default_map = {**values}
        return values

    return read


def _plain_flag(field: "dataclasses.Field[Any]") -> str:
    return flag_name(field).removeprefix("--").lower()


def add_command(app: typer.Typer, name: str, config: type[Config], run: Callable[[Config, Workspace], None]) -> None:
    """Registers `run` as the subcommand `name`; the fields of `config` are its options, its docstring the help."""
    hints = get_type_hints(config)
    fields = dataclasses.fields(config)  # type: ignore[arg-type]
    of = panels(config)
    parameters = [_parameter(field, hints[field.name], of[field.name]) for field in fields]
    kind = inspect.Parameter.KEYWORD_ONLY
    config_file = typer.Option("--config", callback=_file_reader(fields), is_eager=True, metavar="FILE", help=_CONFIG_HELP)
    parameters.append(inspect.Parameter("config", kind, default=None, annotation=Annotated[Path | None, config_file]))
    parameters.append(inspect.Parameter("workspace", kind, default=Path(), annotation=_WORKSPACE))

    def call(**values: Any) -> None:
        for key, value in (values.pop("config") or {}).items():
            if values[key] in ((), []):  # of an argument that may be repeated the parser takes no default from elsewhere
                values[key] = value
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
    app.command(name, cls=_PanelCommand)(call)


def parse_options(command: str, config: type[Config], words: list[str]) -> Config:
    """The options that the words of a command line give, checked as the command checks them.

    Args:
        command: its name, for messages.
        config: its options class.
        words: what is typed after the command.

    Raises:
        UserError: an unknown option, a value of another type, or one that the options class refuses.
    """
    made: list[Config] = []
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
    add_command(app, command, config, lambda options, _workspace: made.append(options))
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed), suppress(SystemExit):
        app(words, prog_name=f"cxrlt {command}")
    if not made:
        said = [line.removeprefix("Error: ") for line in printed.getvalue().splitlines() if line.startswith("Error: ")]
        raise UserError(
            f"cxrlt {command} {' '.join(words)}: {said[0] if said else 'no options'}", f"see cxrlt {command} --help"
        )
    return made[0]


def select(part: type[Part], config: Any) -> Part:
    """The fields of the dataclass `part`, each taken by its name from the fields and properties of an options object."""
    return part(**{field.name: getattr(config, field.name) for field in dataclasses.fields(part)})  # type: ignore[arg-type]


def saved(config: Any) -> dict[str, Any]:
    """A stage's options as JSON holds them: paths as text, tuples as lists."""
    return {saved_name(field): _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def defaults(config: type[Any]) -> dict[str, Any]:
    """The defaults of an options class in their saved form."""
    return {saved_name(field): _plain(usual_value(field)) for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def refuse_changed(config: Any, before: dict[str, Any], where: Path) -> None:
    """Resuming uses the options of the start.

    Raises:
        UserError: an option that decides the result differs from the saved one, or a saved option does not exist; every such
            option is named. An option that is not among the saved ones is newer than they are, and had its default.
    """
    now, usual = saved(config), defaults(type(config))
    unknown = [name for name in before if name not in usual]
    if unknown:
        raise UserError(
            f"{where} was started with options that this version does not have: {listed(unknown)}",
            "resume it with the version that started it, or start again with --overwrite",
        )
    rows = [
        f"{flag_name(field)} was {before.get(key, usual[key])!r}, is {now[key]!r}"
        for field, key in ((field, saved_name(field)) for field in dataclasses.fields(config))
        if not field.metadata.get("free") and before.get(key, usual[key]) != now[key]
    ]
    if rows:
        raise UserError(
            f"{where} was started with different options: " + "; ".join(rows),
            "use the same options to resume it, or --overwrite to start again, or another --name",
        )
