"""Describes a features file."""

from pathlib import Path

from cxrlt_cli.artifacts.features_file import read_feature_record, read_features
from cxrlt_cli.artifacts.parsing import as_json
from cxrlt_cli.artifacts.provenance import Provenance
from cxrlt_cli.artifacts.row_layout import read_done
from cxrlt_cli.info.description import Description


def describe_features(path: Path) -> Description:
    """Describes `features/NAME.h5`, finished or not. Raises UserError as reading it does."""
    found = read_features(path)
    finished, settings, layout = path.suffix != ".part", found.settings, found.layout
    record = read_feature_record(path) if finished else None
    done = int(read_done(layout).sum())
    channels, height, width = found.map_shape
    total, size = len(layout.ids), sum(part.path.stat().st_size for part in layout.parts)
    augmented = f"the image and {settings.views - 1} augmented (seed {settings.seed})" if settings.views > 1 else "the image"
    lines = [
        ("images", f"{done}" if done == total else f"{total}, {done} encoded, {total - done} to do"),
        ("of", f"{found.source.kind} {found.source.images}{found.source.shard and ', shard '}{found.source.shard}"),
        ("encoder", f"{settings.encoder}, stride {settings.stride}, {settings.precision}"),
        ("encoder's weights", f"{settings.weights}, sha256 {settings.weights_sha256[:12]}"),
        *([("weights from", settings.origin.described)] if settings.origin else []),
        ("maps", f"{channels} x {height} x {width}, float16{', pooled' if settings.grid else ''}"),
        ("views", augmented),
        ("pixels", ", ".join(f"{key} {value}" for key, value in settings.pixels.items() if value)),
        ("size on disk", f"{size / 1e9:.3f} GB in {len(layout.parts)} file(s)"),
    ]  # fmt: skip
    facts = {
        "kind": "features",
        "finished": finished,
        "images": total,
        "done": done,
        "map": [channels, height, width],
        "files": [part.path.name for part in layout.parts],
        "source": as_json(found.source),
        "settings": as_json(settings),
    }
    what = "feature maps" if finished else "feature maps, not finished (cxrlt features --resume)"
    return Description(what, lines, facts, record.provenance if record else Provenance())
