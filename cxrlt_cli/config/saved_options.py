"""Saved options of training and prediction, shown as the flags that a user types."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cxrlt_cli.config.predict import PredictConfig
from cxrlt_cli.config.train import TrainConfig
from cxrlt_cli.options import defaults, flag_name, saved_name

_FLAGS = {saved_name(field): flag_name(field) for config in (PredictConfig, TrainConfig) for field in fields(config)}


def flag_of_saved(name: str) -> str:
    """The flag of a saved option; the name itself where this version has no such option."""
    return _FLAGS.get(name, name)


def changed_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> value of the saved options of a run that this version has and that are not at their defaults."""
    usual = defaults(TrainConfig)
    return {name: value for name, value in options.items() if name in usual and value != usual[name]}


def deciding_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> value of the saved options of a run that decide its result; one that was not saved had its default."""
    usual = defaults(TrainConfig)
    free = {"name", *(saved_name(field) for field in fields(TrainConfig) if field.metadata["free"])}
    return {name: options.get(name, value) for name, value in usual.items() if name not in free}
