"""Accuracies that are a plain function of the genes, and a space small enough to price in no time."""

from dataclasses import dataclass

import numpy as np

from codesign.supernet.spaces.mobile import MobileSpace, MobileStage, Stem
from codesign.supernet.spaces.space import Space
from cost_models.workload import Activation

TINY = MobileSpace(
    name="tiny",
    image_channels=1,
    num_classes=10,
    resolutions=(8,),
    stem=Stem(width=8),
    stages=(
        MobileStage(
            width=8,
            stride=1,
            depths=(1, 2),
            kernels=(3, 5, 7),
            expands=(2, 4),
            activation=Activation.RELU,
            squeeze_excite=False,
        ),
        MobileStage(
            width=16,
            stride=2,
            depths=(1, 2),
            kernels=(3, 5),
            expands=(2, 4),
            activation=Activation.HSWISH,
            squeeze_excite=True,
        ),
    ),
    final_width=32,
)


@dataclass(frozen=True)
class CapacityAccuracy:
    """Larger choices give more accuracy, each step less than the one before; deterministic and picklable."""

    space: Space

    def accuracy(self, genes):
        largest = np.array([max(len(choices) - 1, 1) for _, choices in self.space.genes])
        weights = 1.0 + np.arange(len(largest)) % 3
        capacity = (genes / largest) @ weights / weights.sum()
        return 0.99 - 0.25 * np.exp(-3 * capacity)
