"""Describes a pack."""

from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.pack import read_pack
from cxrlt_cli.artifacts.parsing import as_json
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.console import table
from cxrlt_cli.errors import listed
from cxrlt_cli.info.description import Description


def describe_pack(path: Path) -> Description:
    """Describes a pack, `packs/NAME.zip`, which holds no time and no command, for privacy. Raises UserError as `read_pack`."""
    found = read_pack(path)
    checkpoints = [run.checkpoint for run in found.runs]
    first = checkpoints[0]
    origins = {one.config.encoder_origin.described for one in checkpoints if one.config.encoder_origin}
    sources = [
        f"{source.kind} ({source.agreement})" if source.agreement else source.kind for source in found.data_sources or ()
    ]
    lines = [
        ("model", found.name),
        ("classes", f"{len(first.classes)}: {listed(first.classes, 8)}"),
        ("pixels", ", ".join(f"{key} {value}" for key, value in first.pixels.items() if value)),
        ("merged by", found.merge if len(found.runs) > 1 else "nothing: one run"),
        ("views of a study", "fused by a learned network" if first.fusion is not None else "scored one by one"),
        ("calibration", found.calibration.method if found.calibration else "none"),
        ("thresholds", f"of {len(found.thresholds)} classes"),
        *(("weights from", origin) for origin in sorted(origins)),
        ("data sources", "not recorded" if found.data_sources is None else ", ".join(sources)),
        ("size on disk", f"{path.stat().st_size / 1e6:,.1f} MB"),
    ]
    runs: list[dict[str, Any]] = [
        {
            "name": run.name,
            "weight": run.weight,
            "encoder": run.checkpoint.spec["encoder"],
            "weight_count": run.checkpoint.config.weight_count,
            "epoch": run.checkpoint.epoch,
            "encoder_origin": as_json(run.checkpoint.config.encoder_origin),
        }
        for run in found.runs
    ]
    facts = {
        "kind": "pack",
        "name": found.name,
        "classes": first.classes,
        "pixels": first.pixels,
        "merge": found.merge,
        "runs": runs,
        "fusion": first.fusion is not None,
        "calibration": found.calibration.method if found.calibration else None,
        "thresholds": found.thresholds,
        "data_sources": as_json(found.data_sources),
    }
    rows = [[_cell(run[key]) for key in ("name", "encoder", "weight_count", "epoch", "weight")] for run in runs]
    shown = table(["run", "encoder", "weights", "epoch", "weight in the ensemble"], rows)
    return Description("a pack, for: cxrlt predict --pack", lines, facts, Provenance(), [shown])


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
