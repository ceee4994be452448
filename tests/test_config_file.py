"""`--config FILE`: options of a command from a file; flags win."""

import json
from pathlib import Path

import pytest
from conftest import Run

from cxrlt_cli.config.fuse import FuseConfig
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.errors import UserError
from cxrlt_cli.options import parse_options, saved


def _train(*words: object) -> TrainConfig:
    return parse_options("train", TrainConfig, list(map(str, words)))


def test_a_file_gives_what_the_same_flags_give_and_flags_win(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        "epochs = 3\nlr = 5e-4\nbatch-size = 8\nlabel_smoothing = 0.1\nstride = 16\ncompile = true\n"
        'source-weight = ["a=2", "b=1"]\n'
    )
    flags = ["--lr", "5e-4", "--batch-size", "8", "--label-smoothing", "0.1", "--stride", "16", "--compile"]
    flags += ["--source-weight", "a=2", "--source-weight", "b=1"]
    assert _train("--config", path) == _train("--epochs", "3", *flags)
    assert _train("--epochs", "9", "--config", path) == _train("--epochs", "9", *flags)


def test_the_saved_options_of_a_run_are_accepted(tmp_path: Path) -> None:
    first = TrainConfig(epochs=4, lr=0.5, name="first", overwrite=True, source_weight=("a=2",))
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"options": saved(first)}))
    again = _train("--config", path, "--resume")
    assert (again.epochs, again.lr, again.name, again.source_weight) == (4, 0.5, "first", ("a=2",))
    assert (again.resume, again.overwrite) == (True, False), "of one start"


def test_arguments_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('runs = ["a", "b"]\n')
    assert parse_options("predict", PredictConfig, ["--config", str(path)]).runs == ("a", "b")
    assert parse_options("predict", PredictConfig, ["c", "--config", str(path)]).runs == ("c",)
    path.write_text('run = "base"\n')
    assert parse_options("fuse", FuseConfig, ["--config", str(path)]).run == "base"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epoch = 3", "unknown option 'epoch'; nearest is 'epochs'"),
        ("epochs = 'x'", "--epochs"),
        ("epochs = 1.5", "--epochs"),
        ("epochs = true", "--epochs True is true or false"),
        ("epochs = [1, 2]", "--epochs takes one value, not a list"),
        ("compile = 1", "--compile '1' is not true or false"),
        ("stride = 17", "--stride"),
        ("lr = 1\nrate = 2", "rate is given twice"),
        ("lr = 1979-05-27", "not a text, a number, true, false or a list"),
        ("[train]\nlr = 1", "unknown option 'train'"),
        ("epochs = ", "is not TOML"),
    ],
)
def test_what_a_file_may_not_say(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        _train("--config", path)
    assert str(path) in caught.value.message
    assert says in caught.value.message


def test_values_are_checked_as_flags_are(cxrlt: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for text, says in (("epochs = 0", "--epochs 0"), ("epochs = 100000000", "is more than"), ('loss = "fcoal"', "fcoal")):
        path.write_text(text)
        ended = cxrlt("train", "--config", path)
        assert ended.code == 2
        assert says in ended.err
    assert [one.name for one in tmp_path.iterdir()] == ["a.toml"]


@pytest.mark.parametrize(("name", "content"), [("none.toml", None), ("a.json", "{}"), ("b.json", "["), ("c.toml", "\xff")])
def test_a_file_that_cannot_be_used(name: str, content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=name):
        _train("--config", tmp_path / name)
