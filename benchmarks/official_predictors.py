"""How fast the published accuracy predictors answer.

    python benchmarks/official_predictors.py ../shared/data/ofa

The folder holds ``acc_predictor.pth`` and ``ofa_resnet50_acc_predictor.pth``; without one, what `codesign fetch`
brought is taken.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from codesign.supernet.accuracy.official_predictor import known_space, load_official_predictor
from codesign.supernet.spaces.named import load_space

OFA_MBV3_W12 = load_space("ofa-mbv3-w1.2")
OFA_RESNET50D = load_space("ofa-resnet50d")
SUBNETS = 200_000
ROUNDS = 5


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of the two files (default: the cache)")
    folder = parser.parse_args().folder
    for name, space in (("mobile", known_space(OFA_MBV3_W12)), ("resnet", known_space(OFA_RESNET50D))):
        oracle = load_official_predictor(space, folder)
        genes = space.sample_genes(np.random.default_rng(0), SUBNETS)
        rates = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            accuracy = oracle.accuracy(genes)
            rates.append(SUBNETS / (time.perf_counter() - start))
        print(f"figure official_{name}_subnets_per_second {np.median(rates):.4g} 1/s", flush=True)
        print(f"figure official_{name}_subnets_per_second_deviation {np.std(rates, ddof=1):.2g} 1/s")
        print(f"figure official_{name}_accuracy_mean {100 * accuracy.mean():.4g} %")


if __name__ == "__main__":
    main()
