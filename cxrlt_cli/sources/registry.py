"""Chooses the reader of a source."""

from pathlib import Path

from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.labels.spaces import built_in_spaces, read_space
from cxrlt_cli.paths import is_file
from cxrlt_cli.sources.chestxray14 import read_chestxray14
from cxrlt_cli.sources.chexpert import read_chexpert
from cxrlt_cli.sources.listing import Listing
from cxrlt_cli.sources.mimic_cxr_lt import read_mimic_cxr_lt
from cxrlt_cli.sources.padchest import read_padchest
from cxrlt_cli.sources.padchest_lt import read_padchest_lt
from cxrlt_cli.sources.table import TableColumns, read_table_source
from cxrlt_cli.sources.vindr_cxr import read_vindr_cxr

_PUBLISHED = {
    "mimic-cxr-lt": read_mimic_cxr_lt,
    "chestxray14": read_chestxray14,
    "chexpert": read_chexpert,
    "padchest": read_padchest,
    "padchest-lt": read_padchest_lt,
    "vindr-cxr": read_vindr_cxr,
}


def read_source(config: CacheConfig) -> Listing:
    """Lists the images of the source that the options name. Raises UserError as its reader does."""
    if config.kind in _PUBLISHED:
        return _PUBLISHED[config.kind](config.path, config.labels)
    return read_table_source(config.path, config.images, _columns(config))


def _columns(config: CacheConfig) -> TableColumns:
    return TableColumns(
        image=config.image_column,
        path=config.path_column,
        patient=config.patient_column,
        study=config.study_column,
        view=config.view_column,
        sex=config.sex_column,
        age=config.age_column,
        split=config.split_column,
        inverted=config.invert_column,
        labels=_label_columns(config.label_columns),
        values=config.value_labels,
        texts=config.label_column,
        separator=config.separator,
    )


def _label_columns(text: str) -> tuple[str, ...]:
    """Column names as given one by one, or all classes of a label space."""
    if text in built_in_spaces() or is_file(Path(text)):
        return tuple(read_space(text))
    return tuple(name.strip() for name in text.split(",") if name.strip())
