"""The stage `evaluate`: from predictions and labels to metrics per class and their means, with intervals."""

import json

from cxrlt_cli.artifacts.dataset import read_dataset
from cxrlt_cli.artifacts.evaluation import read_evaluation, write_evaluation
from cxrlt_cli.artifacts.files import claimed, refuse_existing
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.resolve import find_calibration, find_entry, find_predictions
from cxrlt_cli.config.evaluate import EvaluateConfig
from cxrlt_cli.console import data, say
from cxrlt_cli.errors import UserError
from cxrlt_cli.evaluate.join_columns import with_columns_of
from cxrlt_cli.evaluate.subgroups import check_columns
from cxrlt_cli.evaluate.terminal_table import as_text
from cxrlt_cli.options import saved, select
from cxrlt_cli.readers.experts import Experts, read_experts
from cxrlt_cli.results import EvaluatedScores
from cxrlt_cli.scores.apply_calibration import calibrated_scores
from cxrlt_cli.scores.labelled import Scored, read_scored
from cxrlt_cli.workspace import Workspace, checked_name


def evaluate(config: EvaluateConfig, workspace: Workspace) -> EvaluatedScores:
    """Evaluates predictions, writes the metrics and prints them.

    Raises:
        UserError: bad predictions or dataset, images or classes that do not match, an output that exists or cannot be written.
    """
    path = find_predictions(config.predictions, workspace.predictions)
    folder = (config.output or workspace.evaluations) / checked_name(config.name or path.stem)
    refuse_existing(folder, config.overwrite)
    dataset = read_dataset(config.dataset or workspace.dataset)
    scored = read_scored(path, dataset, config.split)
    inputs = [path, dataset.path]
    chosen_on = None
    if config.thresholds_from:
        inputs.append(find_entry(config.thresholds_from, workspace).path)
        chosen_on = read_scored(inputs[-1], dataset)
        if chosen_on.split == scored.split:
            raise UserError(
                f"{inputs[-1]} scores the {scored.split} split, which is evaluated", "choose thresholds on validation"
            )
    if config.calibrate:
        calibration = find_calibration(config.calibrate, workspace.calibrations)
        inputs.append(calibration.path)
        scored = calibrated_scores(scored, calibration)
        chosen_on = calibrated_scores(chosen_on, calibration) if chosen_on else None
    if chosen_on:
        _refuse_other_probabilities(scored, chosen_on)
    if config.by_table:
        inputs.append(config.by_table)
        scored = with_columns_of(scored, config.by_table)
    check_columns(scored, config.by)
    experts = _experts(config, scored)
    inputs += experts.inputs if experts else []
    # slow to import: not before the input is checked
    from cxrlt_cli.evaluate.content import EvaluationSettings, evaluation_of, with_experts

    provenance = record(saved(config), inputs)
    evaluation = evaluation_of(select(EvaluationSettings, config), scored, chosen_on, provenance)
    if experts:
        evaluation = with_experts(evaluation, experts, scored, (config.bootstrap, config.seed))
    with claimed(folder, config.overwrite):
        write_evaluation(folder, evaluation)
    evaluation = read_evaluation(folder)
    data(json.dumps(evaluation.content, indent=1) if config.json else as_text(evaluation))
    say(f"{path} against {dataset.path}: {folder}/metrics.json, {', '.join(f'{name}.csv' for name in evaluation.tables)}")
    return EvaluatedScores(folder, evaluation.content, evaluation.per_class)


def _experts(config: EvaluateConfig, scored: Scored) -> Experts | None:
    if not config.readers and not config.reference:
        return None
    columns = config.image_column, config.reader_column
    return read_experts(scored, config.readers, config.reference_kind, columns, config.uncertain)


def _refuse_other_probabilities(scored: Scored, chosen_on: Scored) -> None:
    """Refuses thresholds from predictions that were calibrated differently: they are not valid for these."""
    calibrations = [one.header.calibration for one in (scored, chosen_on)]
    if calibrations[0] != calibrations[1]:
        states = [f"calibrated by {one.name}" if one else "not calibrated" for one in calibrations]
        raise UserError(
            f"{scored.path} is {states[0]}, {chosen_on.path} is {states[1]}: thresholds of one are not valid for the other",
            "predict both without --calibrate, and calibrate here: cxrlt evaluate --calibrate NAME --thresholds-from …",
        )
