"""How far the networks are from those of the reference implementation (PyPI package ``ofa``) with the same weights.

    python benchmarks/reference_parity.py

For each of three families, 200 subnets: the smallest, the largest and random ones, in the supernet and extracted from
it, with random weights and statistics and logits of order one, in float32.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/lib"))


def main() -> None:
    """Print all figures."""
    from support.networks.ofa_parity import FAMILIES, compare_with_reference

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subnets", type=int, default=200, help="of each family (default: 200)")
    count = parser.parse_args().subnets
    for name in FAMILIES:
        found, family = compare_with_reference(name, count), name.split("-")[1]
        print(f"figure parity_{family}_subnets {count} 1")
        print(f"figure parity_{family}_largest_difference {found.shared:.2g} 1")
        print(f"figure parity_{family}_extracted_largest_difference {found.alone:.2g} 1")
        print(f"figure parity_{family}_parameter_counts_that_differ {found.parameters} of {2 * count}")
        print(f"figure parity_{family}_least_deviation_of_logits {found.smallest_spread:.2g} 1", flush=True)


if __name__ == "__main__":
    main()
