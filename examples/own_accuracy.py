"""Search with accuracies of your own: from a table, another predictor, or a service that trains networks.

    python examples/own_accuracy.py --run runs/own-accuracy --pairs 200000

An accuracy oracle is any object with a method `accuracy` that takes genotypes [n, G], the indices of the choices of n
subnets, and returns [n] accuracies between 0 and 1. This one only looks at size; it stands for whatever you know.
"""

import argparse
import tempfile

import numpy as np
import numpy.typing as npt

import codesign


class SizeAccuracy:
    """Accuracies that grow with the multiply-accumulates of a subnet, up to the best accuracy that is assumed."""

    def __init__(self, space: codesign.Space, best: float = 0.8) -> None:
        self._space, self._best = space, best
        self._largest = codesign.lower(space, space.largest()).macs

    def accuracy(self, genes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return [n] accuracies, 0 to 1, of the subnets of genotypes [n, G]."""
        shares = [codesign.lower(self._space, self._space.decode(row)).macs / self._largest for row in genes]
        return self._best * np.array(shares) ** 0.05


def main() -> None:
    """Search the digits space for a board with these accuracies, and print the front."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--run", help="folder of the run; by default a temporary one")
    options.add_argument("--board", default="pynq-z2")
    options.add_argument("--pairs", type=int, default=2_000)
    asked = options.parse_args()
    oracle = SizeAccuracy(codesign.load_space("digits"))
    found = codesign.search(
        asked.run or tempfile.mkdtemp(), space="digits", board=asked.board, accuracy=oracle, pairs=asked.pairs
    )
    print(f"{len(found.front)} pairs on the front of {len(found.study.trials)} trials")
    for pair in found.front[:5]:
        print(f"  {pair.accuracy:7.2%}  {pair.latency_ms:8.4f} ms  {pair.accelerator.pe_rows} PE rows")


if __name__ == "__main__":
    main()
