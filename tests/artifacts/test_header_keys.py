"""Headers are read by name in `artifacts/`; elsewhere code uses the fields of typed headers."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "cxrlt_cli"

#: Keys that only headers have; others, as `split`, are also columns of tables.
KEYS = {"provenance", "inputs", "sha256", "runs", "views", "merge", "members", "calibration", "fitted_on", "pixels", "options",
        "class_weights", "encoder_weights", "form", "parts", "described"}  # fmt: skip


def header_keys(path: Path) -> list[str]:
    """Places where a header's key is a literal string: `x["key"]` and `x.get("key")`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript):
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
            key = node.args[0]
        if isinstance(key, ast.Constant) and key.value in KEYS:
            found.append(f"{path.relative_to(PACKAGE)}:{key.lineno} {key.value}")
    return found


def test_header_keys_are_read_in_artifacts_only() -> None:
    elsewhere = ("artifacts", "templates")  # a template is a script for machines without cxrlt
    found = [
        place for path in sorted(PACKAGE.rglob("*.py")) if path.parent.name not in elsewhere for place in header_keys(path)
    ]
    assert not found
