"""Many layers of one kind as columns, for prices that are calculated elementwise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.workload import Layer, Operation

_NUMBERS = (
    "in_channels",
    "out_channels",
    "in_height",
    "in_width",
    "out_height",
    "out_width",
    "kernel_height",
    "kernel_width",
    "stride",
    "padding",
    "weight_bits",
    "macs",
)


@dataclass(frozen=True)
class LayerColumns:
    """Layers of one operation, all with or all without a residual; the fields are those of :class:`Layer`."""

    operation: Operation
    residual: bool
    in_channels: NDArray[Any]
    out_channels: NDArray[Any]
    in_height: NDArray[Any]
    in_width: NDArray[Any]
    out_height: NDArray[Any]
    out_width: NDArray[Any]
    kernel_height: NDArray[Any]
    kernel_width: NDArray[Any]
    stride: NDArray[Any]
    padding: NDArray[Any]
    weight_bits: NDArray[Any]
    macs: NDArray[Any]

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> "LayerColumns":
        """Columns [L] of layers of one kind."""
        numbers = {name: np.array([getattr(layer, name) for layer in layers], dtype=np.int64) for name in _NUMBERS}
        return cls(layers[0].operation, layers[0].residual, **numbers)

    def take(self, index: Any) -> "LayerColumns":
        """What an index, a slice or a tuple of such selects of each column."""
        return replace(self, **{name: getattr(self, name)[index] for name in _NUMBERS})

    def astype(self, dtype: type[np.floating[Any]]) -> "LayerColumns":
        """The numbers in a floating type; all but ``macs`` are small enough for float32."""
        return replace(self, **{name: getattr(self, name).astype(dtype) for name in _NUMBERS})

    def __len__(self) -> int:
        return len(self.macs)

    @property
    def dense(self) -> bool:
        """Whether input and output channels are cut apart."""
        return self.operation == Operation.CONV

    @property
    def taps(self) -> NDArray[Any]:
        """Positions of the kernel."""
        taps: NDArray[Any] = self.kernel_height * self.kernel_width
        return taps

    @property
    def weight_bytes(self) -> NDArray[Any]:
        """What one weight takes of memory: half a byte where it has 4 bits."""
        weight_bytes: NDArray[Any] = self.weight_bits / 8
        return weight_bytes


def by_kind(layers: Sequence[Layer]) -> list[NDArray[np.int64]]:
    """Indices of the layers of each kind."""
    kinds: dict[tuple[Operation, bool], list[int]] = {}
    for index, layer in enumerate(layers):
        kinds.setdefault((layer.operation, layer.residual), []).append(index)
    return [np.array(members, dtype=np.int64) for members in kinds.values()]
