"""What is needed to score images elsewhere: runs and their weights, merge, classes, pixels, calibration and thresholds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.calibration import Calibration
from cxrlt_cli.artifacts.data_sources import DataSource, joined_sources
from cxrlt_cli.artifacts.evaluation import read_evaluation
from cxrlt_cli.artifacts.resolve import find_calibration
from cxrlt_cli.artifacts.run import Run
from cxrlt_cli.artifacts.run_config import RunConfig
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.paths import is_file, is_folder
from cxrlt_cli.predict.select import Chosen, choose_ensemble, choose_runs
from cxrlt_cli.scores.apply_calibration import refuse_other_classes
from cxrlt_cli.workspace import Workspace


@dataclass(frozen=True)
class Choice:
    """The model that a user named.

    Attributes:
        name: of the run or ensemble.
        chosen: its runs, their weights, and how they are merged.
    """

    name: str
    chosen: Chosen

    @property
    def runs(self) -> list[Run]:
        """Its runs."""
        return self.chosen.runs


def choose_model(given: str, workspace: Workspace) -> Choice:
    """A run or an ensemble, by name or path; the newest finished run where nothing is given.

    Raises:
        UserError: there is none of that name, or one of each kind.
    """
    runs = [path for path in (workspace.runs / given, Path(given)) if given and is_folder(path)]
    ensembles = [path for path in (workspace.ensembles / f"{given}.json", Path(given)) if given and is_file(path)]
    if runs and ensembles:
        raise UserError(f"{given!r} is a run and an ensemble: {runs[0]} and {ensembles[0]}", "name one of them by its path")
    if ensembles:
        return Choice(ensembles[0].stem, choose_ensemble(str(ensembles[0]), 1, workspace))
    chosen = choose_runs((given,) if given else (), None, None, workspace)
    return Choice(chosen.runs[0].folder.resolve().name, chosen)


@dataclass(frozen=True)
class ModelDescription:
    """How the logits of a model are made and read.

    Attributes:
        name: of the run or ensemble.
        classes: names, in the order of the logits.
        pixels: settings of the squares that the networks take, see `preprocess.settings.PixelSettings`.
        members: names of the runs.
        weights: of the runs, in the same order, in any unit.
        merge: `geomean`, `mean` or `logits`: how the runs' logits are merged; `none` for one run.
        calibration: of the merged logits; None without one.
        thresholds: class -> probability at or above which an image is called positive; for calibrated probabilities where there
            is a calibration. Empty without an evaluation.
    """

    name: str
    classes: list[str]
    pixels: dict[str, Any]
    members: list[str]
    weights: list[float]
    merge: str
    calibration: Calibration | None
    thresholds: dict[str, float]

    def learned_from(self, configs: list[RunConfig]) -> list[DataSource] | None:
        """The sources of its runs, and of the labels that its calibration was fitted to; None where one does not record them.

        Args:
            configs: of the runs.
        """
        fitted_to = [self.calibration.header.data_sources] if self.calibration else []
        return joined_sources(*(config.data_sources for config in configs), *fitted_to)

    def saved(self) -> dict[str, Any]:
        """As JSON; of the calibration, method and fit."""
        fit = self.calibration and {"method": self.calibration.method, "fitted": self.calibration.fitted}
        return {**vars(self), "calibration": fit}


def describe_model(
    choice: Choice, classes: list[str], pixels: dict[str, Any], calibrate: str, evaluation: str, workspace: Workspace
) -> ModelDescription:
    """The description of a model.

    Args:
        choice: the model.
        classes: names, in the order of its logits.
        pixels: settings of its squares.
        calibrate: name or file of a calibration; empty for none.
        evaluation: name or folder of an evaluation; empty for none.
        workspace: where they are.

    Raises:
        UserError: no such calibration or evaluation, or it is of other classes or another model.
    """
    calibration = find_calibration(calibrate, workspace.calibrations) if calibrate else None
    if calibration:
        refuse_other_classes(calibration, classes)
    names = [run.folder.resolve().name for run in choice.runs]
    thresholds: dict[str, float] = {}
    if evaluation:
        thresholds = _thresholds(evaluation, [run.folder.name for run in choice.runs], calibration, workspace)
        other = sorted(set(thresholds) - set(classes))
        if other:
            raise UserError(f"{evaluation} evaluates classes that the model does not have: {listed(other)}", "name another")
    merge = choice.chosen.merge if len(names) > 1 else "none"
    return ModelDescription(choice.name, classes, pixels, names, choice.chosen.weights, merge, calibration, thresholds)


def find_evaluation(given: str, workspace: Workspace) -> Path:
    """The folder of an evaluation, by name or path; it may be missing."""
    return next((path for path in (workspace.evaluations / given, Path(given)) if is_folder(path)), Path(given))


def _thresholds(given: str, runs: list[str], calibration: Calibration | None, workspace: Workspace) -> dict[str, float]:
    """Class -> threshold for the best F1 of an evaluation of these runs, with one view and the same calibration."""
    folder = find_evaluation(given, workspace)
    evaluation = read_evaluation(folder)
    found = evaluation.predictions
    if sorted(found.runs) != sorted(runs) or found.views != 1:
        raise UserError(
            f"{folder} evaluates {listed(found.runs)} with {found.views} view(s), the model is {listed(runs)} with 1",
            "evaluate predictions of this model with --tta 1, and name that evaluation",
        )
    fitted = calibration.path.stem if calibration else ""
    applied = found.calibration.name if found.calibration else ""
    if applied != fitted:
        raise UserError(
            f"{folder} evaluates scores with calibration {applied or 'none'}, --calibrate names {fitted or 'none'}",
            "thresholds belong to one calibration: name an evaluation of scores with the same one",
        )
    return evaluation.f1_thresholds
