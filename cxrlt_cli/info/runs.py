"""The command `runs`: the runs of a workspace at a glance, and the removal of what resuming no longer needs."""

import json
from pathlib import Path

from cxrlt_cli.artifacts.files import exclusive, remove
from cxrlt_cli.artifacts.run import Run, is_done
from cxrlt_cli.config.runs import RunsConfig
from cxrlt_cli.console import confirmed, data, say, table, warn
from cxrlt_cli.errors import UserError
from cxrlt_cli.info.run_rows import RunRow, record_of, run_rows
from cxrlt_cli.paths import is_file
from cxrlt_cli.results import RunsOverview
from cxrlt_cli.workspace import Workspace


def list_runs(config: RunsConfig, workspace: Workspace) -> RunsOverview:
    """Prints a row per run; with `--clean` removes `last.pt` of finished runs after a question.

    Raises:
        UserError: the workspace is no folder. A damaged run is a row, and no error.
    """
    rows = run_rows(workspace)
    removable = [row.removable for row in rows if row.removable]
    records = [record_of(row) for row in rows]
    removed = _clean(rows, config.yes) if config.clean else []
    if config.json:
        data(json.dumps({"runs": records, "removed": [str(path) for path in removed]}, indent=1))
    elif not config.clean:
        _print(rows, workspace.runs)
    return RunsOverview(records, removable, removed)


def _print(rows: list[RunRow], runs: Path) -> None:
    if not rows:
        say(f"{runs} has no runs; next: cxrlt train")
        return
    header = ["run", "state", "epochs", "val mAP", "test mAP", "hours", "MB", "differs in"]
    data(table(header, [_cells(row) for row in rows]))
    for row in rows:
        if row.note and row.state != "done":
            warn(f"{row.name}: {row.note}")
        elif row.note:
            say(f"{row.name}: {row.note}")
    following = _next(rows)
    if following:
        say(f"next: {following}")
    freed = sum(row.removable.stat().st_size for row in rows if row.removable)
    if freed:
        say(f"cxrlt runs --clean removes {freed / 1e6:,.0f} MB that resuming no longer needs")


def _cells(row: RunRow) -> list[str]:
    test = ""
    if row.test and row.test.value is not None:
        test = f"{row.test.value:.4f}"
        if row.test.low is not None and row.test.high is not None:
            test += f" ({row.test.low:.4f} … {row.test.high:.4f})"
    return [
        row.name,
        row.state,
        f"{row.epochs}/{row.of_epochs}" if row.of_epochs else "",
        "" if row.val_map is None else f"{row.val_map:.4f}",
        test,
        "" if row.hours is None else f"{row.hours:.2f}",
        f"{row.bytes / 1e6:,.1f}",
        ", ".join(f"{name} {value}" for name, value in row.options.items()),
    ]


def _next(rows: list[RunRow]) -> str:
    """The command for the workspace: finish what was stopped, else evaluate, of several runs the best on validation."""
    stopped = [row for row in rows if row.next and row.state != "done"]
    done = sorted((row for row in rows if row.state == "done"), key=lambda row: -(row.val_map or 0.0))
    waiting = [row for row in done if row.test is None]
    return next((row.next for row in (*stopped, *waiting, *done)), "")


def _clean(rows: list[RunRow], sure: bool) -> list[Path]:
    """Lists what can be removed and removes it if it is confirmed; returns what was removed."""
    for row in rows:
        if row.state == "done" and row.removable is None and row.note:
            say(f"{row.name}: kept, since a larger --patience continues it")
    found = {row.name: row.removable for row in rows if row.removable}
    if not found:
        say("nothing to remove: no finished run has a last.pt")
        return []
    sizes = {name: path.stat().st_size for name, path in found.items()}
    for name, path in found.items():
        say(f"{path}: {sizes[name] / 1e6:,.1f} MB")
    total = f"{sum(sizes.values()) / 1e6:,.1f} MB in {len(found)} file(s)"
    if not sure and not confirmed(f"remove {total}?"):
        say("nothing was removed")
        return []
    removed = [path for path in found.values() if _remove(Run(path.parent))]
    say(f"removed {len(removed)} of {len(found)} file(s)")
    return removed


def _remove(run: Run) -> bool:
    """Removes `last.pt` of a run that is still finished and that no process trains; says why if not."""
    try:
        with exclusive(run.lock):
            if not is_done(run) or not is_file(run.best):
                warn(f"{run.folder} has changed meanwhile: kept")
                return False
            remove(run.last)
            return True
    except UserError as error:
        warn(f"{run.last}: kept: {error.message}")
        return False
