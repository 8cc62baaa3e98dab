"""What a search asks for the accuracy of subnets, whatever the answer comes from."""

from typing import Protocol

import numpy as np

from codesign.supernet.spaces.space import Genes
from hw_templates.foundation.arrays import BoolArray, FloatArray
from hw_templates.foundation.errors import InvalidValueError


class AccuracyOracle(Protocol):
    """Knows how well subnets do."""

    def accuracy(self, genes: Genes) -> FloatArray:
        """Return [n] accuracies, 0 to 1, of the subnets of genotypes [n, G].

        Raises:
            InvalidValueError: they are not genotypes of the oracle's space.
        """


class RecordingOracle(AccuracyOracle, Protocol):
    """Measures how well subnets do, and keeps the answers."""

    def knows(self, genes: Genes) -> bool:
        """Say whether the accuracies of all genotypes [n, G] are known already; measures none.

        Raises:
            InvalidValueError: they are not genotypes of the oracle's space.
        """


def checked_accuracy(oracle: AccuracyOracle, genes: Genes) -> FloatArray:
    """Return [n] accuracies that ``oracle`` knows of the subnets of genotypes [n, G]; each is a number in 0..1.

    Raises:
        InvalidValueError: the oracle answers anything else, or the genotypes are not of its space.
    """
    accuracy = np.asarray(oracle.accuracy(genes), dtype=np.float64)
    check_each_subnet("oracle.accuracy", accuracy, len(genes), (accuracy >= 0) & (accuracy <= 1), "in 0..1")
    return accuracy


def check_each_subnet(field: str, values: FloatArray, count: int, sound: BoolArray, expected: str) -> None:
    """Say whether there is one value for each of ``count`` subnets, and all of them are ``sound``.

    Raises:
        InvalidValueError: there are others, or one is not as ``expected``.
    """
    if values.shape != (count,):
        raise InvalidValueError(field, values.shape, f"of shape ({count},), one a subnet")
    if not sound.all():
        row = int(sound.argmin())
        raise InvalidValueError(f"{field}[{row}]", float(values[row]), expected)
