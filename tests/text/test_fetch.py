"""`cxrlt fetch`, as far as it goes without a network."""

from pathlib import Path

import pytest
from conftest import Run


def test_nothing_named_is_an_error(cxrlt: Run) -> None:
    ended = cxrlt("fetch")
    assert ended.code == 2
    assert "--encoder" in ended.err
    assert "--backbone" in ended.err


@pytest.mark.parametrize(
    "arguments", [["--encoder", "minilm"], ["--backbone", "resnet18"]], ids=lambda arguments: arguments[0].lstrip("-")
)
def test_no_network_is_one_message(arguments: list[str], cxrlt: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    ended = cxrlt("fetch", *arguments)
    assert ended.code == 2, ended.err
    assert "cannot be fetched" in ended.err
    assert "Traceback" not in ended.err


def test_weights_that_were_not_fetched_name_the_command(
    cxrlt: Run, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    ended = cxrlt("train", "--encoder", "resnet18", "--weights", "imagenet")
    assert ended.code == 2
    assert "cxrlt fetch --backbone resnet18" in ended.err
