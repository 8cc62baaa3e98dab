"""What a search asks for the accuracy of subnets, whatever the answer comes from."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codesign.supernet.space import Genes


class AccuracyOracle(Protocol):
    """Knows how well subnets do."""

    def accuracy(self, genes: Genes) -> NDArray[np.float64]:
        """[n] accuracies, 0 to 1, of the subnets of genotypes [n, G].

        Raises:
            InvalidValueError: they are not genotypes of the oracle's space.
        """
