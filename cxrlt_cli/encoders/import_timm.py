"""timm, imported without torch's compiler."""

import functools
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch


def import_timm() -> Any:
    """The package timm.

    timm marks some methods of its networks as not to be compiled, by `torch.compiler.disable`. This imports torch._dynamo,
    which takes as long as importing torch itself. Here the methods are marked later, at their first call after something else
    has imported torch._dynamo: without it, nothing can be compiled.

    Raises:
        ImportError: timm is not installed.
    """
    if "timm" in sys.modules or "torch._dynamo" in sys.modules:
        return import_module("timm")
    disable = torch.compiler.disable
    torch.compiler.disable = functools.partial(_disabled_later, disable)
    try:
        return import_module("timm")
    finally:
        torch.compiler.disable = disable


def _disabled_later(
    disable: Callable[..., Any], function: Callable[..., Any] | None = None, recursive: bool = True, **reason: Any
) -> Callable[..., Any]:
    """`torch.compiler.disable`, but applied at the first call after torch._dynamo was imported."""
    if function is None:
        return functools.partial(_disabled_later, disable, recursive=recursive, **reason)
    disabled: list[Callable[..., Any]] = []

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if "torch._dynamo" not in sys.modules:
            return function(*arguments, **named)
        if not disabled:
            disabled.append(disable(function, recursive, **reason))
        return disabled[0](*arguments, **named)

    return call
