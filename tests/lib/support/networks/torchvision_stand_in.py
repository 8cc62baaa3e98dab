"""What the ``ofa`` package looks for in torchvision while it is imported, which is names alone.

The wheels of torchvision beside a CPU build of torch cannot be imported, for want of compiled operators, and nothing
here calls any of it: no test or user needs torchvision itself.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_NAMES = ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional")


class RandomResizedCrop:
    """The base class of a transform of ``ofa``, whose data loaders are not used here."""


@contextmanager
def torchvision_stand_in() -> Iterator[None]:
    """Let ``import torchvision`` find the stand-in meanwhile, whether torchvision is installed or not."""
    modules = {name: ModuleType(name) for name in _NAMES}
    for name, module in modules.items():
        parent, _, own = name.rpartition(".")
        if parent:
            setattr(modules[parent], own, module)
    modules["torchvision.transforms"].RandomResizedCrop = RandomResizedCrop
    before = {name: sys.modules.pop(name) for name in tuple(sys.modules) if name.partition(".")[0] == "torchvision"}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]
        sys.modules.update(before)
