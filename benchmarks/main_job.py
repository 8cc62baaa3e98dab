"""The main job end to end: how long it takes, and what its winner reaches.

Runs `codesign demo` in a fresh folder with this interpreter, then the sanitised csim on a few images, and times
`codesign --help`. Accuracies are of the test images, in float32 and by the integer reference that csim equals bit for
bit; latency and energy are predicted by the cost model with prior coefficients; nothing runs on a board.

    python benchmarks/main_job.py
    python benchmarks/main_job.py --seeds 3
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bitstreams.building.toolchain import run_csim
from codesign.run.folder import Run, read_json

HELP_REPETITIONS = 9
SANITIZED_IMAGES = 3
CODESIGN = [sys.executable, "-c", "from codesign.cli.main import main; main()"]


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.6g} {unit}", flush=True)


def seconds(*arguments: str) -> float:
    """Wall time of one call of the command line."""
    start = time.perf_counter()
    subprocess.run([*CODESIGN, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print the figures, with the spread over seeds where there are several."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="demos to run, each with another seed")
    seeds = parser.parse_args().seeds
    figures: dict[tuple[str, str], list[float]] = {}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            run = Run(Path(folder) / "demo")
            wall = seconds("demo", "--run", str(run.folder), "--seed", str(seed))
            project, verified = (
                read_json(run.project / "project.json", dict[str, Any]),
                read_json(run.verification, dict[str, Any]),
            )
            run_csim(run.project, sanitize=True, images=SANITIZED_IMAGES)
            accuracy = project["origin"]["test_accuracy"]
            for key, value in {
                ("demo_wall", "s"): wall,
                ("winner_test_accuracy_float32", "%"): 100 * accuracy["float32"],
                ("winner_test_accuracy_int8", "%"): 100 * accuracy["int8"],
                ("winner_int8_loss", "points"): 100 * (accuracy["float32"] - accuracy["int8"]),
                ("winner_latency_predicted", "ms"): project["predicted"]["latency_ms"],
                ("winner_energy_predicted", "mJ"): project["predicted"]["energy_mj"],
                ("bit_exact_test_images", "images"): verified["images"],
                ("compute_trips_as_stated", "trips"): sum(layer["compute_trips"] for layer in verified["layers"]),
            }.items():
                figures.setdefault(key, []).append(value)
    for (name, unit), values in figures.items():
        figure(name, statistics.mean(values), unit)
        if seeds > 1:
            figure(f"{name}_std", statistics.stdev(values), unit)
    starts = [seconds("--help") for _ in range(HELP_REPETITIONS)]
    figure("help_start_median", statistics.median(starts), "s")
    figure("help_start_worst", max(starts), "s")


if __name__ == "__main__":
    main()
