"""A model card as Markdown, and as one self-contained HTML page without scripts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cxrlt_cli.report.page import fill, own_text


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval, all within 0 … 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Table:
    """A table; on the page, `drawn` has an interval for each row, drawn on an axis from 0 to 1, or is empty."""

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    drawn: list[Estimate | None] = field(default_factory=list)


@dataclass(frozen=True)
class Item:
    """A heading (empty for none), paragraphs and a table. The paragraphs may be the points of a list, or command lines."""

    heading: str
    paragraphs: list[str]
    table: Table | None = None
    kind: Literal["text", "list", "code"] = "text"


@dataclass(frozen=True)
class Section:
    """A heading and its items."""

    heading: str
    items: list[Item]


def as_markdown(title: str, sections: list[Section]) -> str:
    """The card as Markdown."""
    parts = [f"# Model card: {_line(title)}"]
    for section in sections:
        parts.append(f"## {section.heading}")
        for item in section.items:
            parts += [f"### {item.heading}"] if item.heading else []
            parts += _markdown_text(item)
            parts += [_markdown_table(item.table)] if item.table else []
    return "\n\n".join(parts) + "\n"


def _markdown_text(item: Item) -> list[str]:
    if item.kind == "list":
        return ["\n".join(f"- {_line(text)}" for text in item.paragraphs)]
    return [f"    {text}" if item.kind == "code" else _line(text) for text in item.paragraphs]


def _markdown_table(table: Table) -> str:
    lines = [table.header, tuple("---" for _ in table.header), *table.rows]
    return "\n".join("| " + " | ".join(_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _line(text: str) -> str:
    """A text in one line that Markdown shows as it is."""
    plain = " ".join(text.split())
    return plain.replace("\\", "\\\\").replace("<", "&lt;").replace("*", "\\*").replace("`", "\\`")


def as_html(title: str, sections: list[Section]) -> str:
    """The card as one page; all text is escaped."""
    package = "cxrlt_cli.share"
    return fill(package, "card.html.j2", {"title": title, "sections": sections}, own_text(package, "card.css"))
