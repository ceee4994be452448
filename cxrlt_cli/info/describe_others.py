"""Describes source tables, label embeddings, predictions, runs and evaluations."""

import dataclasses
from pathlib import Path

import numpy as np

from cxrlt_cli.artifacts.calibration import read_calibration
from cxrlt_cli.artifacts.comparison import read_comparison
from cxrlt_cli.artifacts.corrections import read_corrections_summary
from cxrlt_cli.artifacts.embeddings import read_embeddings
from cxrlt_cli.artifacts.ensemble import read_ensemble
from cxrlt_cli.artifacts.evaluation import read_evaluation
from cxrlt_cli.artifacts.failures import count_absent
from cxrlt_cli.artifacts.parsing import plain
from cxrlt_cli.artifacts.predictions import PredictionsHeader, read_predictions
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.run import Run, read_history, read_status
from cxrlt_cli.artifacts.run_config import RunFeatures, read_run_config
from cxrlt_cli.artifacts.source_table import BLANK, read_source_table
from cxrlt_cli.config.saved_options import changed_options, flag_of_saved
from cxrlt_cli.console import table
from cxrlt_cli.errors import listed
from cxrlt_cli.info.description import Description
from cxrlt_cli.paths import is_file


def describe_source_table(path: Path) -> Description:
    """Describes `images/NAME.parquet`. Raises UserError as reading it does."""
    source = read_source_table(path)
    header = source.header
    counts = {value: (source.labels == value).sum(axis=0) for value in (1, 0, -1, BLANK)}
    rows = [[name, *(str(count[index]) for count in counts.values())] for index, name in enumerate(source.classes)]
    patients = int(source.table["patient_id"].nunique())
    views = source.table["view"].value_counts(dropna=False)
    unreadable, missing = header.unreadable or 0, count_absent(path.with_suffix(".failed.csv"))
    all_listed = len(source.table) + unreadable + missing  # of a shard, those of its own part
    lines = [
        ("read as", source.kind),
        ("images", f"{all_listed} listed, {len(source.table)} cached, {missing} missing, {unreadable} unreadable"),
        ("patients", f"{patients}"),
        ("views", ", ".join(f"{name}: {count}" for name, count in views.items())),
        ("pixels", header.images),
    ]
    facts = {
        "kind": "source table",
        "source": source.kind,
        "images": len(source.table),
        "patients": patients,
        "listed": all_listed,
        "missing": missing,
        "unreadable": unreadable,
        "labels": {row[0]: dict(zip(("1", "0", "-1", "blank"), map(int, row[1:]), strict=True)) for row in rows},
    }
    labels = table(["labels as published", "1", "0", "-1", "blank"], rows)
    return Description("a source's own table", lines, facts, header.provenance, [labels])


def describe_embeddings(path: Path) -> Description:
    """Describes `label_embeddings.parquet`. Raises UserError as reading it does."""
    found = read_embeddings(path)
    encoder = found.encoder
    lines = [
        ("classes", f"{len(found.classes)}: {listed(found.classes, 8)}"),
        ("width", f"{found.vectors.shape[1]}"),
        ("encoder", f"{encoder.get('name')} ({encoder.get('source')}), {encoder.get('pooling')}"),
    ]
    facts = {"kind": "label embeddings", "classes": found.classes, "width": found.vectors.shape[1], "encoder": encoder}
    return Description("label embeddings", lines, facts, Provenance())


def describe_predictions(path: Path) -> Description:
    """Describes `predictions/NAME.parquet`. Raises UserError as reading it does."""
    found = read_predictions(path)
    header = found.header
    probability = 1 / (1 + np.exp(-found.logits.astype(np.float64)))
    studies = {"none": "not merged", "fused": "by learned fusion"}.get(header.study, f"merged, {header.study}")
    made_by = ("runs", ", ".join(header.runs))
    if header.imported:
        made_by = ("imported from", f"{header.imported.file} ({header.imported.kind})")
    elif header.zero_shot:
        made_by = ("scored without training by", f"{header.zero_shot.name} ({header.zero_shot.origin.described})")
    lines = [
        ("images", f"{len(found.image_ids)}"),
        ("classes", f"{len(found.classes)}"),
        made_by,
        ("split", _split(header)),
        ("views", f"{header.views}, merged by {header.merge}"),
        ("studies", studies),
        ("mean probability", f"{probability.mean():.4f}"),
    ]
    facts = {"kind": "predictions", "images": len(found.image_ids), "classes": found.classes}
    kept = dataclasses.asdict(header)
    keys = ("runs", "split", "fold", "out_of_fold", "views", "merge", "study", "members", "pixels", "imported", "zero_shot")
    facts |= {key: kept[key] for key in keys}
    return Description("predictions", lines, facts, header.provenance)


def _split(header: PredictionsHeader) -> str:
    if header.out_of_fold:
        return f"{header.split}, out of fold: each image was scored by runs that did not train on its patient"
    of_fold = "" if header.fold is None else f" of fold {header.fold}"
    return f"{header.split}{of_fold}" if header.split else "none: a folder of images"


def describe_ensemble(path: Path) -> Description:
    """Describes `ensembles/NAME.json`. Raises UserError if it is not one."""
    found = read_ensemble(path)
    header, value = found.header, found.header.mean_ap
    lines = [
        ("merged by", found.merge),
        ("weights", header.select if header.select == "greedy" else "as given"),
        ("evaluated on", header.split or "nothing"),
        ("mAP there", "unknown" if value is None else f"{value:.4f}"),
    ]
    rows = [[m.name, f"{m.weight:.3f}", "" if m.mean_ap is None else f"{m.mean_ap:.4f}"] for m in found.members]
    members = [dataclasses.asdict(member) for member in found.members]
    facts = {"kind": "ensemble", "merge": found.merge, "mean_ap": value, "members": members}
    return Description("an ensemble", lines, facts, header.provenance, [table(["member", "weight", "mAP"], rows)])


def describe_run(path: Path) -> Description:
    """Describes a run's folder. Raises UserError if its files are damaged."""
    run = Run(path)
    config, found = read_run_config(run), read_status(run)
    status = plain(found) if found else {"state": "not started"}
    history = read_history(run) if is_file(run.history) else []
    options = config.options
    chosen = changed_options(options)
    best = max((epoch["mAP"] for epoch in history), default=None)
    lines = [
        ("state", f"{status['state']} {status.get('reason', '')}".strip()),
        ("epochs", f"{len(history)} of {options.get('epochs')}"),
        ("best validation mAP", "none yet" if best is None else f"{best:.4f}"),
        ("classes", f"{len(config.classes)}"),
        ("encoder's weights", config.shown_options().get("weights", "unknown")),
        *([("weights from", config.encoder_origin.described)] if config.encoder_origin else []),
        *([("trained on", _described(config.features))] if config.features else []),
        ("other than default", ", ".join(f"{flag_of_saved(name)} {value}" for name, value in chosen.items()) or "nothing"),
    ]
    facts = {"kind": "run", "status": status, "epochs": len(history), "best_mAP": best, "options": options, "chosen": chosen}
    return Description("a run", lines, facts, config.provenance)


def _described(features: RunFeatures) -> str:
    """One line about the stored features that a run was trained on."""
    pooled = f"maps of {features.grid} x {features.grid}" if features.grid else "whole maps"
    return f"{features.path}: {pooled}, {features.views} views, {features.precision}"


def describe_comparison(path: Path) -> Description:
    """Describes a comparison's folder. Raises UserError as reading it does."""
    found = read_comparison(path)
    lines: list[tuple[str, str]] = [(name, str(getattr(found, name))) for name in ("split", "images", "patients", "base")]
    for other in found.others:
        row = other.means[0]
        text = "mAP undefined"
        if row["difference"] is not None:
            text = f"mAP {row['difference']:+.4f} ({row['low']:+.4f} … {row['high']:+.4f}), p {row['p']:.2g}"
        lines.append((other.name, text))
    facts = {"kind": "comparison", **{key: value for key, value in found.content.items() if key != "provenance"}}
    return Description("a comparison", lines, facts, found.provenance)


def describe_corrections(path: Path) -> Description:
    """Describes the folder of a result of `clean`. Raises UserError as reading it does."""
    found = read_corrections_summary(path)
    lines = [
        ("split", f"{found.split}, {found.images} images"),
        ("scored by", listed(found.runs) or "unknown"),
        ("known labels", f"{found.labels}"),
        ("contradicted", f"{found.contradicted}"),
        ("rows to review", f"{found.listed}"),
    ]
    facts = {"kind": "corrections", **dataclasses.asdict(dataclasses.replace(found, provenance=Provenance()))}
    facts.pop("provenance")
    return Description("labels to review", lines, facts, found.provenance)


def describe_calibration(path: Path) -> Description:
    """Describes `calibrations/NAME.json`. Raises UserError as reading it does."""
    found = read_calibration(path)
    fitted_on = found.header.fitted_on
    lines = [
        ("method", found.method),
        ("classes", f"{len(found.fitted)}, {sum(not entry for entry in found.fitted.values())} left unchanged"),
        ("fitted on", f"{fitted_on.name}, {fitted_on.images} images"),
    ]
    facts = {"kind": "calibration", "method": found.method, "fitted_on": plain(fitted_on), "errors": found.header.errors}
    return Description("a calibration", lines, facts, found.header.provenance)


def describe_evaluation(path: Path) -> Description:
    """Describes an evaluation's folder. Raises UserError as reading it does."""
    found = read_evaluation(path)
    lines: list[tuple[str, str]] = [(name, str(getattr(found, name))) for name in ("split", "images", "patients")]
    lines += [(name, f"{value:.4f}") for name, value in found.metrics.items() if isinstance(value, float)]
    left_out = ("per_class", "decisions", "readers", "reference", "provenance")
    facts = {"kind": "evaluation", **{key: value for key, value in found.content.items() if key not in left_out}}
    return Description("an evaluation", lines, facts, found.provenance)
