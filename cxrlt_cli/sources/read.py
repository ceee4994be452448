"""Chooses the reader of a source."""

from cxrlt_cli.config.cache import CacheConfig
from cxrlt_cli.sources.chestxray14 import read_chestxray14
from cxrlt_cli.sources.listing import Listing
from cxrlt_cli.sources.table import TableColumns, read_table_source


def read_source(config: CacheConfig) -> Listing:
    """Lists the images of the source that the options name. Raises UserError as its reader does."""
    if config.kind == "chestxray14":
        return read_chestxray14(config.path, config.labels)
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
        labels=tuple(name.strip() for name in config.label_columns.split(",") if name.strip()),
    )
