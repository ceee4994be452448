"""Options declared once: flag, saved form, resume check."""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Run

from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.config.saved_options import flag_of_saved
from cxrlt_cli.errors import UserError, listed, nearest, reported_os_errors
from cxrlt_cli.options import flag, flag_of, refuse_changed, saved
from cxrlt_cli.workspace import checked_name, newest

PACKAGE = Path(__file__).parents[1] / "cxrlt_cli"


@dataclass(frozen=True)
class _Config:
    lr: float = flag(0.1, "A rate.", saved_as="rate")
    where: Path | None = flag(Path("x"), "A path.")
    names: tuple[str, ...] = flag(("a", "b"), "Names.")
    workers: int = flag(1, "Free.", free=True)


def test_the_saved_form_is_plain() -> None:
    assert saved(_Config()) == {"rate": 0.1, "where": "x", "names": ["a", "b"], "workers": 1}


def test_a_resumed_run_may_change_what_is_free_and_nothing_else() -> None:
    before = saved(_Config())
    refuse_changed(_Config(workers=9), before, Path("runs/a"))
    with pytest.raises(UserError, match=r"--lr was 0\.1, is 0\.2") as caught:
        refuse_changed(_Config(lr=0.2), before, Path("runs/a"))
    assert "--overwrite" in caught.value.hint


def test_an_option_that_was_not_saved_had_its_default() -> None:
    before = {"rate": 0.1, "where": "x"}
    refuse_changed(_Config(), before, Path("runs/a"))
    with pytest.raises(UserError, match="options that this version does not have: glow"):
        refuse_changed(_Config(), {**before, "glow": 3}, Path("runs/a"))
    with pytest.raises(UserError, match=r"--names was \['a', 'b'\], is \['c'\]"):
        refuse_changed(_Config(names=("c",)), before, Path("runs/a"))


def test_flag_names() -> None:
    assert [flag_of(_Config, name) for name in ("lr", "where", "names")] == ["--lr", "--where", "--names"]
    assert flag_of(CacheConfig(source="table=x.csv"), "image_column") == "--image-column"
    assert flag_of(PredictConfig, "runs") == "RUNS"
    assert (flag_of_saved("rate"), flag_of_saved("only"), flag_of_saved("gone")) == ("--lr", "--list", "gone")


def test_a_flag_is_made_from_a_field_in_one_place() -> None:
    """Every other place asks `flag_name`: an option declared with another name, as `only` is --list, shows the right flag."""
    made = re.compile(r"""replace\(\s*["']_["']\s*,\s*["']-["']""")
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".j2")]
    assert [path.name for path in files if made.search(path.read_text())] == ["options.py"]


def test_options_are_frozen() -> None:
    config = CacheConfig(source="table=x.csv")
    with pytest.raises(AttributeError):
        config.size = 3  # type: ignore[misc]


def test_the_workspace_from_the_environment(cxrlt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRLT_WORKSPACE", str(tmp_path / "elsewhere"))
    assert cxrlt("embed-labels", "--encoder", "ngram").code == 0
    assert (tmp_path / "elsewhere/label_embeddings.parquet").is_file()
    assert cxrlt("embed-labels", "--encoder", "ngram", "--workspace", tmp_path / "here").code == 0
    assert (tmp_path / "here/label_embeddings.parquet").is_file()


_NO_NAMES = [
    "",
    ".x",
    "a/b",
    "../x",
    "a\\b",
    "n" * 300,
    "-x",
    "a\nb",
    "a\x1b[2Jb",
    "a\u202eb",
    "a;b",
    "a$(b)",
    "a`b`",
    "a*",
    "x ",
]


@pytest.mark.parametrize("name", _NO_NAMES)
def test_names_that_would_leave_their_folder_or_mean_something_to_a_shell(name: str) -> None:
    with pytest.raises(UserError, match="cannot be an artifact's name"):
        checked_name(name)


@pytest.mark.parametrize("name", ["resnet50-hard9_3", "my run (2)", "größe", "gro\u0308ße", "胸部", "a+b", "ema_0.9", "भारत"])
def test_names_of_any_script(name: str) -> None:
    assert checked_name(name) == name


_FLAGS = [
    ["cache", "--source", "table=a\nb.csv"],
    ["cache", "--source", "table=a.csv", "--label-columns", "Mass\x1b[2J"],
    ["slurm", "jobs", "--source", "table=a.csv", "--partition", "gpu\ntouch x"],
    ["slurm", "jobs", "--source", "table=a.csv", "--sbatch=--qos=a\u2028b"],
    ["slurm", "jobs", "--source", "table=a.csv", "--setup", "module load a\rrm -r b"],
    ["study", "heads", "--train", "--epochs 1\n--lr 1"],
    ["train", "--no-such-\x1b[31mflag"],
    ["predict", "a\x00b"],
    ["fetch\x9b"],
]


@pytest.mark.parametrize("words", _FLAGS, ids=lambda words: words[0][:5])
def test_control_characters_are_refused_before_anything_is_made(words: list[str], cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt(*words)
    assert ended.code == 2
    assert "holds a control character" in ended.err
    assert (ended.out + ended.err).replace("\n", "").isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--decoder-layers", "100000000"],
        ["train", "--decoder-width", str(1 << 40)],
        ["train", "--batch-size", "9" * 30],
        ["compare", "a", "b", "--bootstrap", "1000000000000"],
        ["cache", "--source", "table=a.csv", "--workers", "1000000"],
        ["study", "heads", "--jobs", "5000"],
        ["study", "heads", "--train", "--decoder-layers 100000000"],
        ["slurm", "jobs", "--source", "table=a.csv", "--train", "--decoder-layers 100000000"],
        ["train", "--seed", str(1 << 63)],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_huge_numbers_are_refused_before_memory_is_taken(words: list[str], cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt(*words)
    assert ended.code == 2
    assert "is more than" in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["embed-labels", "--encoder", "ngram", "--texts", "/dev/zero"],
        ["embed-labels", "--encoder", "ngram", "--label-space", "/dev/zero"],
        ["merge", "--map", "/dev/zero"],
        ["cache", "--source", "table=/dev/zero"],
        ["study", "/dev/zero"],
        ["info", "/dev/zero"],
    ],
    ids=lambda words: words[0],
)
def test_a_device_in_place_of_a_file_is_one_message(words: list[str], cxrlt: Run, tmp_path: Path) -> None:
    ended = cxrlt(*words)
    assert ended.code == 2
    assert ended.err.count("error:") == 1
    assert not list(tmp_path.iterdir())


def test_the_workspace_of_the_environment_is_an_option_too(cxrlt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXRLT_WORKSPACE", "a\nb")
    ended = cxrlt("embed-labels", "--encoder", "ngram")
    assert ended.code == 2
    assert "holds a control character" in ended.err


def test_the_newest_file(tmp_path: Path) -> None:
    assert newest([]) is None
    paths = [tmp_path / name for name in ("b", "a")]
    for path in paths:
        path.touch()
    os.utime(paths[0], (5, 5))
    assert newest(paths) == paths[1]


def test_words_of_messages() -> None:
    assert listed("abcdefg", 3) == "a, b, c and 4 more"
    assert nearest("Herna", ["Hernia", "Mass"]) == "; nearest is 'Hernia'"
    assert nearest("zzz", ["Hernia"]) == ""
    with pytest.raises(UserError, match="doing it: No such file"), reported_os_errors("doing it"):
        Path("/does/not/exist").read_text()


@pytest.mark.parametrize(
    ("number", "says"), [("EACCES", "right"), ("ENOSPC", "free space"), ("EFBIG", "ulimit -f"), ("EROFS", "cannot be written"),
                         ("ENAMETOOLONG", "too long"), ("EBUSY", "folder exists")]
)  # fmt: skip
def test_hints_of_the_operating_systems_refusals(number: str, says: str) -> None:
    code = getattr(errno, number)
    with pytest.raises(UserError, match="doing it") as caught, reported_os_errors("doing it"):
        raise OSError(code, os.strerror(code))
    assert says in caught.value.hint


@pytest.mark.parametrize("command", [["check"], ["embed-labels", "--encoder", "ngram"], ["cache", "--source", "table=x.csv"]])
def test_where_no_thread_can_be_started(
    command: list[str], cxrlt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refused)
    ended = cxrlt(*command)
    assert ended.code == 2
    assert ended.err.splitlines()[0] == "error: no thread can be started here: can't start new thread"
    assert "ulimit -u" in ended.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["check"], ["embed-labels"], ["train"]])
def test_an_interrupted_command_ends_in_one_line(command: list[str], cxrlt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cxrlt_cli.app.import_module", interrupted)
    ended = cxrlt(*command)
    assert (ended.code, ended.err) == (130, "interrupted\n")


def test_a_defect_of_ours_keeps_its_traceback(cxrlt: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("cxrlt_cli.text.embed.embed_label_texts", broken)
    with pytest.raises(ZeroDivisionError):
        cxrlt("embed-labels")
