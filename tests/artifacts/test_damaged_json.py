"""Damaged and forged JSON artifacts end in one message that names the file."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from damage import Case, Harm, Read, cases_of_any

from cxrlt_cli.artifacts.calibration import read_calibration
from cxrlt_cli.artifacts.comparison import read_comparison
from cxrlt_cli.artifacts.ensemble import read_ensemble
from cxrlt_cli.artifacts.evaluation import read_evaluation
from cxrlt_cli.artifacts.run import Run, read_history
from cxrlt_cli.artifacts.run_config import read_run_config
from cxrlt_cli.artifacts.study import read_study


def forged(change: Callable[[dict[str, Any]], object]) -> Harm:
    def harm(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return harm


def setting(place: str, value: Any) -> Harm:
    """Sets a value in a JSON object; `place` is its keys and indices, separated by dots."""

    def change(content: Any) -> None:
        *way, last = [int(key) if key.isdigit() else key for key in place.split(".")]
        for key in way:
            content = content[key]
        content[last] = value

    return forged(change)


def cases_of_json(file: str, read: Read, needed: list[str], wrong: list[tuple[str, Any]]) -> Iterator[Case]:
    yield from cases_of_any(file, read)
    for name, text in {
        "list": b"[]",
        "null": b"null",
        "text": b'"x"',
        "deep": b"[" * 200_000,
        "latin-1": b'{"a": "\xff"}',
    }.items():
        yield Case(file, f"a JSON {name}", lambda path, text=text: path.write_bytes(text), read)  # type: ignore[misc]
    yield Case(file, "other version", setting("version", 99), read)
    yield Case(file, "version of another type", setting("version", [1]), read)
    for key in needed:
        yield Case(file, f"without {key}", forged(lambda content, key=key: content.pop(key)), read)  # type: ignore[misc]
        yield Case(file, f"{key} null", setting(key, None), read)
    for place, value in wrong:
        yield Case(file, f"{place} {value!r:.40}", setting(place, value), read)


JSON = [
    *cases_of_json("calibrations/warm.json", read_calibration, ["method", "fitted"], [
        ("fitted.Mass", {"temperature": 0}), ("fitted.Mass", {"temperature": "warm"}), ("fitted.Mass", [1]), ("fitted", []),
        ("fitted.Mass", {"temperature": 10**400}), ("fitted_on", []), ("fitted_on.runs", "whole"), ("provenance", "me"),
    ]),
    *cases_of_json("calibrations/steps.json", read_calibration, [], [
        ("fitted.Mass.logits", "abc"), ("fitted.Mass.logits", [3, 1, 2]), ("fitted.Mass.probabilities", [2.0]), ("errors", {}),
    ]),
    *cases_of_json("ensembles/pair.json", read_ensemble, ["members", "merge"], [
        ("members", {}), ("members.0", 1), ("members.0.weight", "1"), ("members.0.weight", 2.0), ("members.0.weight", 0),
        ("members.0.runs", "whole"), ("members.0.sha256", None), ("members.1.views", 1.5),
        ("merge", "median"), ("merge", ["mean"]),
    ]),
    *cases_of_json(
        "evaluations/whole/metrics.json", read_evaluation,
        ["split", "per", "images", "per_class", "groups", "thresholds", "predictions", "bootstrap", "provenance"], [
        ("per_class", []), ("per_class.1", "Mass"), ("per_class.1.ap", [0.5]), ("per_class.0", {"ap": 0.1}), ("groups.head", 1),
        ("predictions", "whole"), ("predictions.calibration", "warm"), ("provenance.inputs", []), ("provenance.inputs", {}),
        ("provenance.inputs.0.sha256", 5), ("images", True), ("subgroups", {"sex": 1}), ("undefined", "none"),
    ]),
    *cases_of_json("comparisons/both/comparison.json", read_comparison, ["split", "base", "others", "images"], [
        ("others", {}), ("others.0", "fused"), ("others.0.means", []), ("others.0.means.0", {}), ("others.0.name", 3),
        ("provenance", []),
    ]),
    *cases_of_json("studies/mixup/study.json", lambda path: read_study(path.parent), ["means", "per_class", "variants"], [
        ("means", {}), ("means.0", 1), ("variants", []), ("per_class", [[]]), ("plan", 3),
    ]),
]  # fmt: skip


def history(path: Path) -> object:
    return read_history(Run(path.parent))


def config(path: Path) -> object:
    return read_run_config(Run(path.parent))


RUN = [
    *cases_of_any("runs/whole/config.json", config),
    Case("runs/whole/config.json", "a list", lambda path: path.write_text("[]"), config),
    *(
        Case("runs/whole/history.jsonl", text, lambda path, text=text: path.write_text(text + "\n"), history)  # type: ignore[misc]
        for text in ("1", "[]", "{}", '{"epoch": "1"}', '{"epoch": 1, "mAP": "high"}', '{"epoch": 1, "ap": [0.1]}', "{", "\0")
    ),
]


@pytest.mark.parametrize("case", [*JSON, *RUN], ids=str)
def test_is_refused_by_name(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)
