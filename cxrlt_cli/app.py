"""The command line: a table of contents of the stages, and how each of them may end."""

import io
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cxrlt_cli import __version__
from cxrlt_cli.config.bench import BenchConfig
from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.config.calibrate import CalibrateConfig
from cxrlt_cli.config.check import CheckConfig
from cxrlt_cli.config.clean import CleanConfig
from cxrlt_cli.config.compare import CompareConfig
from cxrlt_cli.config.demo import DemoConfig
from cxrlt_cli.config.embed_labels import EmbedLabelsConfig
from cxrlt_cli.config.ensemble import EnsembleConfig
from cxrlt_cli.config.evaluate import EvaluateConfig
from cxrlt_cli.config.explain import ExplainConfig
from cxrlt_cli.config.export import ExportConfig
from cxrlt_cli.config.features import FeaturesConfig
from cxrlt_cli.config.fetch import FetchConfig
from cxrlt_cli.config.fuse import FuseConfig
from cxrlt_cli.config.import_scores import ImportConfig
from cxrlt_cli.config.info import InfoConfig
from cxrlt_cli.config.join import JoinConfig
from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.config.pack import PackConfig
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.config.report import ReportConfig
from cxrlt_cli.config.runs import RunsConfig
from cxrlt_cli.config.slurm import SlurmConfig
from cxrlt_cli.config.study import StudyConfig
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.console import complain, say
from cxrlt_cli.errors import INTERRUPTED, USAGE, Stopped, UserError
from cxrlt_cli.machine import refuse_no_threads
from cxrlt_cli.options import add_command, refuse_control_characters
from cxrlt_cli.workspace import Workspace

#: A command a row: its options, whose docstring is its help; the stage, imported when it runs; its panel in `cxrlt --help`.
COMMANDS: dict[str, tuple[type[Any], str, str]] = {
    "fetch": (FetchConfig, "cxrlt_cli.text.fetch:fetch_files", "Data"),
    "cache": (CacheConfig, "cxrlt_cli.preprocess.cache:cache_source", "Data"),
    "join": (JoinConfig, "cxrlt_cli.preprocess.join:join_shards", "Data"),
    "embed-labels": (EmbedLabelsConfig, "cxrlt_cli.text.embed:embed_label_texts", "Data"),
    "merge": (MergeConfig, "cxrlt_cli.labels.merge:merge_sources", "Data"),
    "features": (FeaturesConfig, "cxrlt_cli.features.features:store_features", "Data"),
    "train": (TrainConfig, "cxrlt_cli.train.train:train_run", "Training"),
    "fuse": (FuseConfig, "cxrlt_cli.train.fuse:fuse_run", "Training"),
    "study": (StudyConfig, "cxrlt_cli.study.study:run_study", "Training"),
    "predict": (PredictConfig, "cxrlt_cli.predict.predict:predict_images", "Scoring"),
    "import": (ImportConfig, "cxrlt_cli.import_scores.import_scores:import_scores", "Scoring"),
    "ensemble": (EnsembleConfig, "cxrlt_cli.predict.ensemble:make_ensemble", "Scoring"),
    "calibrate": (CalibrateConfig, "cxrlt_cli.evaluate.calibrate:calibrate", "Scoring"),
    "evaluate": (EvaluateConfig, "cxrlt_cli.evaluate.evaluate:evaluate", "Scoring"),
    "compare": (CompareConfig, "cxrlt_cli.evaluate.compare:compare", "Scoring"),
    "clean": (CleanConfig, "cxrlt_cli.clean.clean:find_label_errors", "Scoring"),
    "report": (ReportConfig, "cxrlt_cli.report.report:write_report", "Scoring"),
    "explain": (ExplainConfig, "cxrlt_cli.explain.explain:explain_images", "Scoring"),
    "export": (ExportConfig, "cxrlt_cli.share.export:export_model", "Sharing"),
    "pack": (PackConfig, "cxrlt_cli.share.pack:pack_model", "Sharing"),
    "demo": (DemoConfig, "cxrlt_cli.demo.run:run_demo", "Tools"),
    "info": (InfoConfig, "cxrlt_cli.info.info:describe_artifact", "Tools"),
    "runs": (RunsConfig, "cxrlt_cli.info.runs:list_runs", "Tools"),
    "check": (CheckConfig, "cxrlt_cli.cluster.check:check_machine", "Tools"),
    "slurm": (SlurmConfig, "cxrlt_cli.cluster.slurm:write_scripts", "Tools"),
    "bench": (BenchConfig, "cxrlt_cli.bench.run:bench_machine", "Tools"),
}


class _Panels(TyperGroup):
    """Lists the commands under their panels."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section a panel, in the order of the table."""
        longest = max(map(len, COMMANDS))
        for panel in dict.fromkeys(panel for _, _, panel in COMMANDS.values()):
            commands = {name: self.get_command(ctx, name) for name, row in COMMANDS.items() if row[2] == panel}
            room = formatter.width - 6 - longest
            rows = [(name.ljust(longest), one.get_short_help_str(room)) for name, one in commands.items() if one]
            with formatter.section(panel):
                formatter.write_dl(rows)


app = typer.Typer(
    name="cxrlt",
    cls=_Panels,
    help="Long-tailed multi-label classification of chest radiographs. Each stage reads and writes artifacts on disk.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _stage(target: str) -> Callable[[Any, Workspace], None]:
    """The function that `module:name` means; the module is imported when it is called."""

    def run(config: Any, workspace: Workspace) -> None:
        module, _, name = target.partition(":")
        refuse_no_threads()
        try:
            getattr(import_module(module), name)(config, workspace)
        except KeyboardInterrupt:
            raise Stopped("interrupted", INTERRUPTED) from None

    return run


for _name, (_config, _target, _) in COMMANDS.items():
    add_command(app, _name, _config, _stage(_target))


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"cxrlt {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Long-tailed multi-label classification of chest radiographs. Each stage reads and writes artifacts on disk."""


def main() -> None:
    """Runs one command. Exit codes: 0 done, 1 a defect, 2 usage or input, 75, 143, 130 stopped by SIGUSR1, SIGTERM, SIGINT."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where a terminal cannot show a letter, its number will do
            stream.reconfigure(errors="backslashreplace")
    try:
        refuse_control_characters(sys.argv[1:])  # before the parser repeats what it does not know
        app()
    except UserError as error:
        complain(f"error: {error.message}")
        if error.hint:
            complain(f"hint: {error.hint}")
        if os.environ.get("CXRLT_DEBUG"):
            raise
        sys.exit(USAGE)
    except Stopped as stop:
        say(stop.message)
        sys.exit(stop.code)
