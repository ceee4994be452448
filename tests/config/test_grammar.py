"""Flags whose value is a text with a grammar: what each form means, and that a wrong one is an error when options are made."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from conftest import Run

from cxrlt_cli.app import COMMANDS
from cxrlt_cli.config.grammar import parse_groups, parse_shard, parse_study, parse_weights, parse_window
from cxrlt_cli.config.slurm import SlurmConfig
from cxrlt_cli.config.study import StudyConfig
from cxrlt_cli.config.train_grammar import (
    LOSSES,
    AverageSpec,
    LossSpec,
    SamplingSpec,
    Term,
    parse_average,
    parse_loss,
    parse_reweight,
    parse_sampling,
    parse_save_every,
    parse_source_weights,
)
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import flag_name

#: Command -> options that it needs beside the flag.
NEEDED: dict[str, dict[str, Any]] = {
    "cache": {"source": "chexpert=/x"},
    "compare": {"compared": ("a", "b")},
    "ensemble": {"members": ("a", "b")},
    "slurm": {"out": Path("jobs"), "source": ("chexpert=/x",)},
    "study": {"study": "bag"},
}
#: Command, flag, and values that are not in its grammar.
WRONG: list[tuple[str, str, list[str]]] = [
    ("cache", "--source", ["chexpert", "chexpart=/x", "=x"]),
    ("cache", "--shard", ["3", "3/3", "-1/3", "a/b", "1/100000"]),
    ("cache", "--values", ["YES", "YES=2", "YES=1,yes=0", "=1"]),
    ("cache", "--window", ["1", "99,1", "a,b", "-1,50"]),
    ("compare", "--groups", ["0.1", "0.01,0.1", "a,b", "nan,0"]),
    ("ensemble", "--member-weights", ["1", "1,x", "-1,2", "0,0", "inf,1"]),
    ("ensemble", "--study", ["eqal", "1", "0:0", "-1:1", "inf:1"]),
    ("evaluate", "--groups", ["0.1"]),
    ("merge", "--blank", ["abstent"]),
    ("merge", "--map", ["a", "=b", "labels.txt"]),
    ("merge", "--missing", ["abstent", "a=abstent"]),
    ("merge", "--missing-eval", ["pseudo"]),
    ("merge", "--pseudo-threshold", ["0.9,0.1", "x", "0.5"]),
    ("merge", "--split", ["70,20", "70,20,20", "0,50,50", "a,b,c", "nan,50,50"]),
    ("merge", "--uncertain", ["soft:0.9-0.1", "soft", "soft:2-3"]),
    ("predict", "--member-weights", ["1"]),
    ("predict", "--study", ["2"]),
    ("report", "--groups", ["1"]),
    ("slurm", "--time", ["soon"]),
    ("study", "--shard", ["2/2", "x"]),
    ("train", "--average", ["emma", "", "ema:1", "ema:x", "swa:-0.1", "mean"]),
    ("train", "--loss", ["fcoal", "", "focal:x", "focal:1/2", "asl:4/1/1", "ldam:0/30", "db:-1", "two-way:inf", "bce:1"]),
    ("train", "--reweight", ["hard9", "hard0:2", "Mass", "Mass:x", ":2", "tail:-1", "effective:1", "hard2:nan", "a,,b:1", "@"]),
    ("train", "--sampling", ["balanced", "", "repeat-factor:0", "repeat-factor:x", "repeat-factor:2", "class-balanced:2"]),
    ("train", "--save-every", ["soon", "-1", "1.5", "m"]),
    ("train", "--source-weight", ["a", "=1", "a=-1", "a=x", "a=inf"]),
]
LOSS_FORMS = "bce, focal[:GAMMA], asl[:G-/G+/CLIP], ldam[:MARGIN/SCALE], db[:LAMBDA] or two-way[:T]"


@pytest.mark.parametrize(("command", "flag", "texts"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_a_value_that_is_not_in_the_grammar_is_an_error_when_options_are_made(
    command: str, flag: str, texts: list[str]
) -> None:
    config = COMMANDS[command][0]
    field = next(field for field in fields(config) if flag_name(field) == flag)
    for text in texts:
        value = (text,) if isinstance(field.default, tuple) else text
        with pytest.raises(UserError, match=f"{flag}( |:)"):
            config(**{**NEEDED.get(command, {}), field.name: value})


@pytest.mark.parametrize(("flag", "text"), [(flag, texts[0]) for command, flag, texts in WRONG if command == "train"])
def test_it_is_an_error_inside_study_and_slurm_too(flag: str, text: str) -> None:
    words = f'"{flag}={text}"'
    with pytest.raises(UserError, match=f"{flag}( |:)"):
        StudyConfig(study="bag", train=words)
    with pytest.raises(UserError, match=f"{flag}( |:)"):
        SlurmConfig(out=Path("jobs"), source=("chexpert=/x",), train=words)


@pytest.mark.parametrize(("command", "flag"), [("cache", "--window=9,1"), ("merge", "--split=1"), ("predict", "--study=x")])
def test_every_command_of_slurm_is_checked(command: str, flag: str) -> None:
    with pytest.raises(UserError, match=flag.partition("=")[0]):
        SlurmConfig(out=Path("jobs"), source=("chexpert=/x",), **{command: flag})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "says"),
    [("--epoch 3", "--epoch"), ("--epochs x", "--epochs"), ("--help", "no options"), ("--loss 'bce", "No closing quotation")],
)
def test_flags_inside_a_flag_that_cannot_be_parsed(words: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        StudyConfig(study="bag", train=words)


def test_a_study_checks_the_flags_of_its_file_before_the_first_run(cxrlt: Run, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[variants]\na = {}\nb = { train = ["--loss=fcoal"] }\n')
    ended = cxrlt("study", "own.toml", "--seeds", "1")
    assert ended.code == 2
    assert "unknown --loss 'fcoal'" in ended.err
    assert not (tmp_path / "studies/runs").exists()


@pytest.mark.parametrize(
    ("parse", "text", "message", "hint"),
    [
        (parse_average, "emma", "unknown --average 'emma'; expected none, ema[:DECAY] or swa[:FRACTION]", "nearest is 'ema'"),
        (
            parse_loss,
            "fcoal:2",
            f"unknown --loss 'fcoal:2'; expected {LOSS_FORMS}",
            "nearest is 'focal'",
        ),
        (
            parse_sampling,
            "balanced",
            "unknown --sampling 'balanced'; expected none, repeat-factor[:THRESHOLD], class-balanced or square-root",
            "nearest is 'class-balanced'",
        ),
    ],
)
def test_the_message_says_what_is_expected(parse: Callable[[str], object], text: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("focal:0.5", "GAMMA must be 0 or at least 1"),
        ("focal:1e-9", "GAMMA must be 0 or at least 1"),
        ("asl:4/0.5/0.05", r"G\+ must be 0 or at least 1"),
        ("asl:0.5/0/0", "G- must be 0 or at least 1"),
        ("asl:4/1/1", "CLIP must be a probability"),
        ("focal:-1", "GAMMA must be within 0 … 1000"),
        ("focal:nan", "GAMMA must be within 0 … 1000"),
        ("two-way:1e-30", "T must be within 0.001 … 1000"),
        ("db:0", "LAMBDA must be within"),
        ("ldam:0.5/0", "SCALE must be within"),
        ("bce:1", "takes no number"),
        ("asl:4", "takes 3 numbers, G-/G"),
    ],
)
def test_numbers_of_a_loss_that_are_out_of_range_are_named(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_loss(text)


def test_values() -> None:
    assert parse_loss("asl") == LossSpec("asl", (4.0, 1.0, 0.05))
    assert parse_loss("asl:2/0/0") == LossSpec("asl", (2.0, 0.0, 0.0))
    assert [len(parse_loss(name).numbers) for name in LOSSES] == [0, 1, 3, 2, 1, 1]
    assert parse_average("none") == AverageSpec("none", 0.0)
    assert (parse_average("ema"), parse_average("swa:0.5")) == (AverageSpec("ema", 0.999), AverageSpec("swa", 0.5))
    assert parse_sampling("repeat-factor") == SamplingSpec("repeat-factor", 0.01)
    assert parse_sampling("repeat-factor:0.4").threshold == 0.4
    assert parse_reweight("") == ()
    assert parse_reweight("hard9:3, Pleural Effusion : 2,tail:0.5") == (
        Term("hard", value=3.0, count=9),
        Term("class", "Pleural Effusion", 2.0),
        Term("group", "tail", 0.5),
    )
    assert parse_reweight("inverse-sqrt,effective:0.9,@w.csv") == (
        Term("inverse-sqrt"),
        Term("effective", value=0.9),
        Term("file", "w.csv"),
    )
    assert parse_source_weights(("a=0", "b=c=2")) == {"a": 0.0, "b=c": 2.0}
    assert (parse_save_every("500"), parse_save_every("1.5m"), parse_save_every("0")) == ((500, 0.0), (0, 90.0), (0, 0.0))
    assert parse_groups("0.10,0.01") == (0.1, 0.01)
    assert (parse_study("none"), parse_study("equal"), parse_study("2:1")) == (None, (1.0, 1.0), (2.0, 1.0))
    assert (parse_weights("", 2), parse_weights("0,3", 2)) == ([1.0, 1.0], [0.0, 3.0])
    assert (parse_shard(""), parse_shard("3/64")) == ((0, 1), (3, 64))
    assert (parse_window(""), parse_window("1,99")) == (None, (1.0, 99.0))
