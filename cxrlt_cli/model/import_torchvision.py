"""torchvision, imported without torch's compiler."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_DYNAMO = "torch._dynamo.utils"


def import_torchvision() -> Any:
    """The package torchvision. To be called before a package that imports it.

    `torchvision.ops.roi_align` imports torch._dynamo for one function, which takes as long as importing torch itself, and
    calls it on some devices only. During the import of torchvision a placeholder has the place of that function's module.
    """
    if _DYNAMO in sys.modules or "torchvision" in sys.modules:
        return import_module("torchvision")
    placeholder = ModuleType(_DYNAMO)

    def real() -> Any:
        if sys.modules.get(_DYNAMO) is placeholder:
            del sys.modules[_DYNAMO]
        return import_module(_DYNAMO)

    def other(name: str) -> Any:  # another version may import another name
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(real(), name)

    vars(placeholder).update(is_compile_supported=lambda device: real().is_compile_supported(device), __getattr__=other)
    sys.modules[_DYNAMO] = placeholder
    try:
        return import_module("torchvision")
    finally:
        if sys.modules.get(_DYNAMO) is placeholder:
            del sys.modules[_DYNAMO]
