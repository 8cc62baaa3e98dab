"""Price a subnet on a board of your own, which a TOML file describes.

    codesign boards show pynq-z2 > my-board.toml
    python examples/own_board.py my-board.toml

The same path can be given to every command: `codesign search runs/digits --board my-board.toml`.
"""

import argparse
from pathlib import Path

import numpy as np

import codesign


def main() -> None:
    """Draw accelerators, keep those that fit the board, and print the fastest for the largest subnet of the digits."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("board", nargs="?", default=str(Path(__file__).with_name("my-board.toml")))
    options.add_argument("--accelerators", type=int, default=1000)
    asked = options.parse_args()
    board, space = codesign.load_board(asked.board), codesign.load_space("digits")
    workload = codesign.lower(space, space.largest())
    found: list[tuple[float, codesign.Accelerator]] = []
    # Larger arrays do not fit so small a device.
    small = codesign.AcceleratorSpace(board).narrow(pe_rows=(4, 8), pe_cols=(4, 8), pe_pixels=(1, 2, 3, 4))
    accelerators = small.sample(np.random.default_rng(0), asked.accelerators)
    for number in range(asked.accelerators):
        try:
            accelerator = accelerators[number]  # raises where its parameters do not go together
            codesign.check_fits(accelerator, board)
            found.append((codesign.price(workload, accelerator, board).latency_ms, accelerator))
        except (codesign.InvalidValueError, codesign.ResourceError, codesign.MappingError):
            continue
    print(f"{board.title}: {len(found)} of {asked.accelerators} accelerators fit")
    if not found:
        raise SystemExit("draw more with --accelerators, or describe a larger board")
    latency_ms, fastest = min(found, key=lambda pair: pair[0])
    needs = codesign.estimate_resources(fastest, board)
    print(f"fastest: {latency_ms:.3f} ms with {needs.dsp} of {board.dsp} DSP slices and {needs.lut} of {board.lut} LUT")
    print(fastest)


if __name__ == "__main__":
    main()
