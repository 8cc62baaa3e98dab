"""Calibrate the cost model on measurements of an emitted engine, and search again with the fitted coefficients.

    python examples/calibrate.py runs/demo --board pynq-z2@192.168.2.99 --via ssh --budget 60
    python examples/calibrate.py runs/demo

By default the engine is measured on its twin, the emitted C++ compiled here with a timing of its own, so no board is
involved and the coefficients describe the twin. Stopped and run again, it measures what is missing.
"""

import argparse
from pathlib import Path

import codesign


def main() -> None:
    """Plan, measure, fit, predict, and search with what was fitted."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path, help="folder of a run with an emitted project")
    options.add_argument("--board", default="pynq-z2", help="BOARD@HOST, or BOARD for its twin")
    options.add_argument("--via", default="twin", help="ssh, remote, local or twin")
    options.add_argument("--budget", type=int, default=30, help="runs to measure")
    options.add_argument("--pairs", type=int, default=20_000)
    asked = options.parse_args()
    project, plan, fitted = asked.run / "project", asked.run / "plan.json", asked.run / "fitted"
    board = asked.board.partition("@")[0]
    chosen = codesign.calibration.plan(board, asked.budget, plan, project=project)
    print(f"planned {len(chosen.runs)} runs")
    measured = codesign.calibration.measure(
        asked.board, plan, project, asked.run / "measured.jsonl", via=asked.via, repetitions=5
    )
    calibration = codesign.calibration.fit([asked.run / "measured.jsonl"], fitted)
    print(f"fitted to {len(measured)} runs: mean error of left-out runs {calibration.quality.mean_error:.1%}")
    prediction = codesign.calibration.predict(fitted, measured[:3])
    for run, low_ms, high_ms in zip(measured, prediction.low_ms, prediction.high_ms, strict=False):
        print(f"predicted {low_ms:.4f} to {high_ms:.4f} ms, measured {run.latency_ms.p50:.4f} ms")
    for coefficients in ("prior", fitted):
        found = codesign.search(asked.run, board=board, pairs=asked.pairs, coefficients=coefficients)
        fastest = found.front[0]
        print(f"{coefficients}: fastest pair {fastest.latency_ms:.4f} ms at {fastest.accuracy:.1%}")


if __name__ == "__main__":
    main()
