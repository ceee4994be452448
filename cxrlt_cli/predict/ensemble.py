"""The stage `ensemble`: chooses weights for existing predictions, and merges them."""

import json
from dataclasses import asdict, replace
from functools import partial

import numpy as np

from cxrlt_cli.artifacts.data_sources import joined_sources
from cxrlt_cli.artifacts.dataset import Dataset, read_dataset
from cxrlt_cli.artifacts.ensemble import Ensemble, EnsembleHeader, EnsembleMember, write_ensemble
from cxrlt_cli.artifacts.files import InputFile, claimed, fingerprint, refuse_existing, replacing_together, sha256_of
from cxrlt_cli.artifacts.folds import in_fold
from cxrlt_cli.artifacts.predictions import FORMAT, MemberWeight, Predictions, PredictionsHeader, write_predictions
from cxrlt_cli.artifacts.provenance import record, refuse_replaced
from cxrlt_cli.artifacts.resolve import find_member
from cxrlt_cli.artifacts.tables import refuse_other_table
from cxrlt_cli.config.ensemble import EnsembleConfig
from cxrlt_cli.console import data, say, table
from cxrlt_cli.data.studies import studies_of_table
from cxrlt_cli.errors import UserError, listed
from cxrlt_cli.metrics.ranking import mean_of_defined, per_class
from cxrlt_cli.options import saved
from cxrlt_cli.paths import is_file
from cxrlt_cli.predict.ensemble_members import MemberScores, read_members
from cxrlt_cli.predict.greedy_selection import Selection, select_greedily
from cxrlt_cli.predict.merge import merge_logits
from cxrlt_cli.predict.merge_studies import merge_by_study, merge_studies
from cxrlt_cli.results import FittedEnsemble
from cxrlt_cli.workspace import Workspace


def make_ensemble(config: EnsembleConfig, workspace: Workspace) -> FittedEnsemble:
    """Chooses the weights, merges the scores, writes both, and prints a table.

    Raises:
        UserError: bad predictions, members of other images or classes, a selection on anything but validation scores, an
            output that exists or cannot be written.
    """
    pipeline, path = workspace.ensembles / f"{config.name}.json", workspace.predictions / f"{config.name}.parquet"
    for output in (pipeline, path):
        refuse_existing(output, config.overwrite)
    refuse_other_table(path, FORMAT)
    scores = read_members([find_member(name, workspace) for name in config.members])
    if path.resolve() in [member.resolve() for member in scores.paths]:
        raise UserError(f"{path} is one of the members", "give the ensemble another --name")
    others = _read_others(config, workspace, scores)
    data_file = config.dataset or workspace.dataset
    taken = [fingerprint(data_file)] if is_file(data_file) else []
    labels = _validation_labels(config, workspace, scores)
    selection = _select(config, scores, labels)
    inputs = [*scores.inputs, *(taken if labels else [])]
    ensemble = _describe(config, scores, labels, selection, inputs)
    merged = _merged(config, workspace, others, ensemble)
    with claimed(path, config.overwrite, pipeline), replacing_together(path):
        refuse_replaced([*inputs, *others.inputs, *taken])
        write_predictions(path, merged)
        write_ensemble(pipeline, ensemble)
    _show(config, ensemble)
    say(f"{pipeline}; the merged scores of {len(others.files[0].image_ids)} images: {path}")
    weights = {member.name: member.weight for member in ensemble.members}
    return FittedEnsemble(pipeline, path, weights, ensemble.header.mean_ap)


def _read_others(config: EnsembleConfig, workspace: Workspace, scores: MemberScores) -> MemberScores:
    """The scores that are merged: those of `--apply`, which are of the same runs as the members, or those of the members."""
    if not config.apply:
        return scores
    others = read_members([find_member(name, workspace) for name in config.apply])
    for member, file, other, path in zip(scores.paths, scores.files, others.files, others.paths, strict=True):
        before, now = file.header.runs, other.header.runs
        if before != now:
            raise UserError(f"{path} is of {listed(now or ['no run'])}, but {member} of {listed(before or ['no run'])}",
                            "give --apply in the order of the members")  # fmt: skip
    return others


def _validation_labels(config: EnsembleConfig, workspace: Workspace, scores: MemberScores) -> Dataset | None:
    """The validation split that the members score; None if they score other images, or it is not needed and not there."""
    path = config.dataset or workspace.dataset
    elsewhere = [
        f"{file} ({read.header.split or 'no split'})"
        for file, read in zip(scores.paths, scores.files, strict=True)
        if read.header.split != "val"
    ]
    if elsewhere and config.select != "all":
        raise UserError(
            f"not scored on the validation split: {listed(elsewhere)}",
            "the test must not choose an ensemble: name runs, or score with cxrlt predict --split val; the choice is then used "
            "on other images by --apply, or by cxrlt predict --ensemble",
        )
    if elsewhere or (config.select == "all" and not is_file(path)):
        return None
    val = in_fold(read_dataset(path), scores.common("fold")).split("val")
    different = set(val.table["image_id"]) ^ set(scores.files[0].image_ids)
    if different:
        raise UserError(
            f"{scores.paths[0]} scores other images than the val split of {path}: {listed(sorted(different))}",
            "name the dataset that was scored: --dataset; or score it again: cxrlt predict --split val",
        )
    if set(val.classes) != set(scores.files[0].classes):
        other = sorted(set(val.classes) ^ set(scores.files[0].classes))
        raise UserError(f"{scores.paths[0]} and {path} differ in their classes: {listed(other)}", "name its dataset: --dataset")
    return val


def _mean_ap(config: EnsembleConfig, val: Dataset, scores: MemberScores, logits: np.ndarray) -> float:
    """mAP of (N, C) logits in the order of the scores; merged by study if `--study` asks for it."""
    row = {name: index for index, name in enumerate(scores.files[0].image_ids)}
    rows = [row[name] for name in val.table["image_id"]]
    columns = [scores.files[0].classes.index(name) for name in val.classes]
    aligned = logits[rows][:, columns]
    if config.study_weights:
        aligned = merge_by_study(aligned, studies_of_table(val.table), config.merge, config.study_weights)
    return mean_of_defined(per_class(aligned, val.targets, val.label_mask).ap)


def _select(config: EnsembleConfig, scores: MemberScores, val: Dataset | None) -> Selection:
    if config.select == "greedy":
        assert val is not None
        return select_greedily(scores.logits, config.merge, partial(_mean_ap, config, val, scores), config.rounds)
    weights = np.array(config.weights)
    return Selection(weights / weights.sum(), [])


def _describe(
    config: EnsembleConfig, scores: MemberScores, val: Dataset | None, selection: Selection, inputs: list[InputFile]
) -> Ensemble:
    def mean_ap(logits: np.ndarray) -> float | None:
        return None if val is None else _mean_ap(config, val, scores, logits)

    members = [
        EnsembleMember(
            name, file.header.runs, float(weight), str(path), sha256_of(path), file.header.views, mean_ap(logits)
        )
        for name, file, weight, path, logits in zip(
            config.members, scores.files, selection.weights, scores.paths, scores.logits, strict=True
        )
    ]  # fmt: skip
    header = EnsembleHeader(
        classes=scores.files[0].classes,
        select=config.select,
        split=scores.common("split") or "",
        mean_ap=mean_ap(merge_logits(scores.logits, config.merge, selection.weights)),
        steps=[{"added": config.members[member], "mean_ap": value} for member, value in selection.steps],
        provenance=record(saved(config), inputs),
    )
    return Ensemble(members, config.merge, header)


def _merged(config: EnsembleConfig, workspace: Workspace, others: MemberScores, ensemble: Ensemble) -> Predictions:
    provenance = record(saved(config), others.inputs)
    firsts, *rest = (file.header.provenance.inputs for file in others.files)
    shared = [entry for entry in firsts if all(entry.sha256 in [own.sha256 for own in inputs] for inputs in rest)]
    header = PredictionsHeader(
        runs=list(dict.fromkeys(run for file in others.files for run in file.header.runs)),
        split=others.common("split") or "",
        fold=others.common("fold"),
        out_of_fold=all(file.header.out_of_fold for file in others.files),
        views=max(file.header.views for file in others.files),
        merge=config.merge,
        study=config.study,
        pixels=others.common("pixels"),
        members=[MemberWeight(member.name, member.weight) for member in ensemble.members],
        data_sources=joined_sources(*(file.header.data_sources for file in others.files)),
        provenance=replace(provenance, inputs=provenance.inputs + shared),  # among them the dataset that all members scored
    )
    first = others.files[0]
    logits = merge_logits(others.logits, config.merge, np.array([member.weight for member in ensemble.members]))
    if config.study_weights:
        studies = studies_of_table(read_dataset(config.dataset or workspace.dataset).table).of(first.image_ids)
        logits = merge_studies(logits, studies, config.merge, config.study_weights)
    return Predictions(first.image_ids, first.classes, logits, header)


def _show(config: EnsembleConfig, ensemble: Ensemble) -> None:
    if config.json:
        content = {key: getattr(ensemble.header, key) for key in ("select", "split", "mean_ap", "steps")}
        data(json.dumps({"merge": ensemble.merge, **content, "members": [asdict(m) for m in ensemble.members]}, indent=1))
        return
    rows = [(m.name, f"{m.weight:.3f}", _figure(m.mean_ap)) for m in ensemble.members]
    rows.append((f"ensemble, {ensemble.merge}", "", _figure(ensemble.header.mean_ap)))
    data(table(["member", "weight", "validation mAP"], rows))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
