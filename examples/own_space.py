"""Train and search a supernet space of your own, which a TOML file describes, with a schedule of your own.

    codesign supernet show digits > my-space.toml
    python examples/own_space.py my-space.toml --schedule my-schedule.toml --run runs/mine

The run can be continued on the command line: `codesign emit runs/mine`.
"""

import argparse
from pathlib import Path

import codesign


def main() -> None:
    """Train, fit the predictor, search, and print the front."""
    here = Path(__file__).parent
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("space", nargs="?", default=str(here / "my-space.toml"))
    options.add_argument("--schedule", default=str(here / "my-schedule.toml"))
    options.add_argument("--run", default="runs/own-space")
    options.add_argument("--board", default="pynq-z2")
    options.add_argument("--pairs", type=int, default=20_000)
    asked = options.parse_args()
    space = codesign.load_space(asked.space)
    print(f"{space.name}: {space.size():,} subnets")
    codesign.train(asked.run, space=asked.space, schedule=asked.schedule)
    codesign.fit_predictor(asked.run, samples=40)
    found = codesign.search(asked.run, board=asked.board, pairs=asked.pairs)
    for pair in found.front[:5]:
        print(f"  {pair.accuracy:7.2%}  {pair.latency_ms:8.4f} ms  depths {pair.subnet.depths}")


if __name__ == "__main__":
    main()
