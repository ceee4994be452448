"""The command line: a table of contents of the stages, and how each of them may end."""

import io
import os
import sys
from typing import Annotated

import typer

from cxrlt_cli import __version__
from cxrlt_cli.commands.bench import bench
from cxrlt_cli.commands.cache import cache
from cxrlt_cli.commands.calibrate import calibrate
from cxrlt_cli.commands.check import check
from cxrlt_cli.commands.compare import compare
from cxrlt_cli.commands.demo import demo
from cxrlt_cli.commands.embed_labels import embed_labels
from cxrlt_cli.commands.ensemble import ensemble
from cxrlt_cli.commands.evaluate import evaluate
from cxrlt_cli.commands.explain import explain
from cxrlt_cli.commands.fetch import fetch
from cxrlt_cli.commands.fuse import fuse
from cxrlt_cli.commands.info import info
from cxrlt_cli.commands.join import join
from cxrlt_cli.commands.merge import merge
from cxrlt_cli.commands.predict import predict
from cxrlt_cli.commands.report import report
from cxrlt_cli.commands.slurm import slurm
from cxrlt_cli.commands.study import study
from cxrlt_cli.commands.train import train
from cxrlt_cli.config.bench import BenchConfig
from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.config.calibrate import CalibrateConfig
from cxrlt_cli.config.check import CheckConfig
from cxrlt_cli.config.compare import CompareConfig
from cxrlt_cli.config.demo import DemoConfig
from cxrlt_cli.config.embed_labels import EmbedLabelsConfig
from cxrlt_cli.config.ensemble import EnsembleConfig
from cxrlt_cli.config.evaluate import EvaluateConfig
from cxrlt_cli.config.explain import ExplainConfig
from cxrlt_cli.config.fetch import FetchConfig
from cxrlt_cli.config.fuse import FuseConfig
from cxrlt_cli.config.info import InfoConfig
from cxrlt_cli.config.join import JoinConfig
from cxrlt_cli.config.merge import MergeConfig
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.config.report import ReportConfig
from cxrlt_cli.config.slurm import SlurmConfig
from cxrlt_cli.config.study import StudyConfig
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.console import complain, say
from cxrlt_cli.errors import USAGE, Stopped, UserError
from cxrlt_cli.options import add_command

app = typer.Typer(
    name="cxrlt",
    help="Long-tailed multi-label classification of chest radiographs. Each stage reads and writes artifacts on disk.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

add_command(app, "demo", DemoConfig, demo)
add_command(app, "fetch", FetchConfig, fetch)
add_command(app, "cache", CacheConfig, cache)
add_command(app, "join", JoinConfig, join)
add_command(app, "embed-labels", EmbedLabelsConfig, embed_labels)
add_command(app, "merge", MergeConfig, merge)
add_command(app, "train", TrainConfig, train)
add_command(app, "fuse", FuseConfig, fuse)
add_command(app, "predict", PredictConfig, predict)
add_command(app, "ensemble", EnsembleConfig, ensemble)
add_command(app, "calibrate", CalibrateConfig, calibrate)
add_command(app, "evaluate", EvaluateConfig, evaluate)
add_command(app, "compare", CompareConfig, compare)
add_command(app, "report", ReportConfig, report)
add_command(app, "explain", ExplainConfig, explain)
add_command(app, "study", StudyConfig, study)
add_command(app, "info", InfoConfig, info)
add_command(app, "check", CheckConfig, check)
add_command(app, "slurm", SlurmConfig, slurm)
add_command(app, "bench", BenchConfig, bench)


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
    """Runs one command. Exit codes: 0 done, 1 a defect, 2 usage or input, 75 / 143 stopped by SIGUSR1 / SIGTERM."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where a terminal cannot show a letter, its number will do
            stream.reconfigure(errors="backslashreplace")
    try:
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
