"""AP of each class on a development set, for `--reweight hardK:F`."""

from pathlib import Path

from cxrlt_cli.artifacts.evaluation import read_evaluation
from cxrlt_cli.artifacts.run import Run, newest_finished_run, read_history, read_status
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file


def development_ap(given: Path | None, runs: Path, classes: list[str]) -> tuple[dict[str, float], Path]:
    """Class -> AP, without the classes whose AP is undefined; and where it was found.

    Args:
        given: `--hard-from`: a run's folder, or an evaluation's folder or `metrics.json`.
        runs: folder of runs, whose newest finished run is the default.
        classes: of the dataset.

    Raises:
        UserError: neither exists, it was scored on the test split, or it lacks classes of the dataset.
    """
    if given is None:
        run = newest_finished_run(runs)
        if run is None:
            raise UserError(
                f"--reweight hardK:F needs each class's AP on a development set, and {runs} has no finished run",
                "train one first (cxrlt train), or name a run or an evaluation: --hard-from runs/NAME",
            )
        given = run.folder
    found = _of_run(Run(given)) if is_file(given / "status.json") else _of_evaluation(given)
    absent = [name for name in classes if name not in found]
    if absent:
        raise UserError(f"{given} has no AP of {listed(absent)}", "name a run or an evaluation of this dataset: --hard-from")
    return {name: ap for name, ap in found.items() if ap is not None}, given


def _of_run(run: Run) -> dict[str, float | None]:
    status = read_status(run)
    if status is None or status.state != "done" or status.best_epoch is None:
        state = status.state if status else "not started"
        raise UserError(f"{run.folder} is not finished ({state})", "finish it, or name another: --hard-from")
    epoch = next((epoch for epoch in read_history(run) if epoch["epoch"] == status.best_epoch), None)
    if epoch is None:
        raise UserError(f"{run.history} lacks epoch {status.best_epoch}", "name another: --hard-from")
    found: dict[str, float | None] = epoch["ap"]
    return found


def _of_evaluation(path: Path) -> dict[str, float | None]:
    evaluation = read_evaluation(path)
    if evaluation.split != "val":
        raise UserError(
            f"{path} was scored on the {evaluation.split} split",
            "the test must not steer the training: score the validation split (cxrlt predict --split val)",
        )
    return evaluation.ap
