"""A run's subnets as dataflow accelerators: searched, emitted with hls4ml, compiled, and compared on the test part."""

import argparse
from pathlib import Path

from codesign.progress import Silent
from codesign.run import Run, read_json
from codesign.verbs.context import TrainRequest
from codesign.verbs.dataflow import RECORD, SECTION, DataflowRequest, csim_dataflow, emit_dataflow, search_dataflow
from codesign.verbs.predictor import fit
from codesign.verbs.train import train


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the run, made or continued")
    run, silent = Run(parser.parse_args().folder), Silent()
    train(run, TrainRequest("digits-stream", "digits-stream"), silent)
    fit(run, 60, 0, silent)
    search_dataflow(run, DataflowRequest("pynq-z2", 40_000, None, 0), silent)
    emit_dataflow(run, None, None, silent)
    csim_dataflow(run, None, silent)
    emitted, verified = (read_json(run.folder / SECTION / name) for name in (RECORD, "verification.json"))
    print(f"figure hls4ml_csim_test_images {verified['images']} images")
    print(f"figure hls4ml_same_class {verified['same_class']} share")
    print(f"figure hls4ml_largest_difference {verified['largest_difference']} logit")
    for kind, accuracy in emitted["test_accuracy"].items():
        print(f"figure hls4ml_test_accuracy_{kind} {accuracy:.4f} share")
    print(f"figure hls4ml_latency_predicted {emitted['predicted']['latency_ms']:.4f} ms")
    print(f"figure hls4ml_energy_predicted {emitted['predicted']['energy_mj']:.4f} mJ")
    for name, count in emitted["resources"].items():
        print(f"figure hls4ml_{name}_predicted {count} count")


if __name__ == "__main__":
    main()
