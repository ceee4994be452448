"""The page: one self-contained HTML file."""

import base64
import hashlib
import math
from importlib import resources
from typing import Any

from cxrlt_cli.report.metrics import Estimate

_DASH = "\N{EN DASH}"


def page(content: dict[str, Any]) -> str:
    """The report. All text in `content` is escaped."""
    return fill("cxrlt_cli.report", "report.html.j2", content, own_text("cxrlt_cli.report", "page.css"), "page.js")


def fill(package: str, template: str, content: dict[str, Any], style: str, script: str = "") -> str:
    """Fills a template of a self-contained page, whose own rule allows its one script and nothing from outside.

    Args:
        package: with the folder `templates/`.
        template: its name there.
        content: what it shows; everything is escaped.
        style: the CSS.
        script: name of the JavaScript file in `templates/`; empty for a page without one.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "percent": percent, "interval": interval, "signed": signed, "count": count}
    text = own_text(package, script) if script else ""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    own = {"style": Markup(style), "script": Markup(text), "script_hash": f"sha256-{digest}"}  # noqa: S704 - files of this package
    return environment.get_template(template).render(**content, **own)


def own_text(package: str, name: str) -> str:
    """A file of a package's `templates/`."""
    return (resources.files(package) / "templates" / name).read_text(encoding="utf-8").strip()


def figure(value: float | None, digits: int = 3) -> str:
    """A number, or a dash if it is undefined."""
    return _DASH if value is None or math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction in percent."""
    return _DASH if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def signed(value: float, digits: int = 3) -> str:
    """A difference with its sign."""
    return _DASH if math.isnan(value) else f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def interval(estimate: Estimate, sign: bool = False) -> str:
    """Both bounds of an estimate."""
    if math.isnan(estimate.low):
        return _DASH
    form = signed if sign else figure
    return f"{form(estimate.low)} to {form(estimate.high)}" if sign else f"{form(estimate.low)}{_DASH}{form(estimate.high)}"


def count(value: int) -> str:
    """A count with a thin space every three digits."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
