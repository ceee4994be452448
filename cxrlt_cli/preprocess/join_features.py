"""`cxrlt join --features`: joins the shards of a features file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from cxrlt_cli.artifacts.features_file import (
    FEATURES,
    FeatureFile,
    FeatureRecord,
    read_features,
    record_path,
    write_feature_record,
)
from cxrlt_cli.artifacts.files import clear_unfinished, exclusive, refuse_existing, replacing, replacing_together
from cxrlt_cli.artifacts.provenance import record
from cxrlt_cli.artifacts.row_file import join_rows
from cxrlt_cli.artifacts.shards import copy_rows, names_of_shards
from cxrlt_cli.console import say
from cxrlt_cli.errors import UserError, reported_os_errors


def join_features(folder: Path, name: str, copy: bool, overwrite: bool, options: dict[str, Any]) -> tuple[Path, int]:
    """Joins the shards `NAME.shard-*.h5` of a folder to `NAME.h5`.

    Args:
        folder: of the features.
        name: of the joined file.
        copy: whether it holds the maps itself, instead of pointing to the shards.
        overwrite: whether an existing file is replaced.
        options: of the command, for the record.

    Returns:
        The file and its number of images.

    Raises:
        UserError: no shards, one that is missing, unfinished, or of other images or settings; an existing output.
    """
    target = folder / f"{name}.h5"
    refuse_existing(target, overwrite)
    with exclusive(folder / f".{name}.lock"):
        refuse_existing(target, overwrite)
        names = names_of_shards(folder, name, FEATURES)
        shards = [read_features(folder / f"{one}.h5") for one in names]
        _refuse_unlike(shards)
        source = replace(shards[0].source, shard="").saved()
        part = target.with_name(f"{target.name}.part")
        clear_unfinished(part, record_path(target))
        try:
            (copy_rows if copy else join_rows)(part, [shard.layout for shard in shards], source)
            count = sum(len(shard.layout.ids) for shard in shards)
            with replacing_together(), reported_os_errors(f"cannot write {target}"):
                provenance = record(options, [shard.layout.path for shard in shards])
                write_feature_record(target, FeatureRecord(count, shards[0].layout.settings, provenance))
                with replacing(target) as aside:
                    part.rename(aside)
        finally:
            part.unlink(missing_ok=True)
    how = "copied" if copy else "linked: keep them in the same folder"
    say(f"features of {count} images of {len(shards)} shards in {target} ({how})")
    return target, count


def _refuse_unlike(shards: list[FeatureFile]) -> None:
    """Raises UserError if a shard is not the one that its name says, or differs from the first in images or settings."""
    first, again = shards[0], "make it again: cxrlt features … --shard i/n --overwrite"
    for number, shard in enumerate(shards):
        path = shard.layout.path
        if (shard.source.shard or "0/1") != f"{number}/{len(shards)}":
            raise UserError(f"{path} is not shard {number}/{len(shards)}, as its name says", f"rename it, or {again}")
        before = first.layout.settings
        unlike = [f"{key} {before.get(key)!r} there, {value!r} here" for key, value in shard.layout.settings.items()
                  if before.get(key) != value]  # fmt: skip
        unlike += ["the shape of the maps"] if shard.map_shape != first.map_shape else []
        unlike += ["the images"] if replace(shard.source, shard="") != replace(first.source, shard="") else []
        if unlike:
            raise UserError(f"{path} differs from {first.layout.path}: {'; '.join(unlike)}", again)
