"""A run's subnets with template hls4ml: searched, emitted, compiled, and compared on the test part.

The winning subnet is compiled again for both backends and both ways in which feature maps pass between layers.
"""

import argparse
import dataclasses
import tempfile
from pathlib import Path

from codesign.commands.pairs import csim, emit
from codesign.commands.search import search
from codesign.commands.training import fit, train
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.requests import EmitRequest, SearchRequest, TrainRequest, load_trained
from codesign.run.searched import read_emitted
from codesign.templates.hls4ml.project import backend_of, simulate, write_hls4ml_project
from codesign.templates.hls4ml.template import Hls4mlTemplate, quantise_pair
from hw_templates.board import load_board
from hw_templates.hls4ml.parameters import IoType


def compile_everywhere(run: Run) -> None:
    """Print how the C++ of the emitted subnet agrees, for each backend and each io type."""
    trained = load_trained(run)
    pair = read_emitted(run, Hls4mlTemplate()).pair
    for board in map(load_board, ("pynq-z2", "zcu104")):
        for io_type in IoType:
            design = dataclasses.replace(pair.accelerator, io_type=io_type)
            fixed, subnet = quantise_pair(trained, dataclasses.replace(pair, accelerator=design))
            with tempfile.TemporaryDirectory() as folder:
                model = write_hls4ml_project(Path(folder), fixed, design, board)
                agreement = simulate(model, fixed, subnet.images, "")
            name = f"hls4ml_{backend_of(board)}_{io_type}"
            print(f"figure {name}_same_class {agreement.same_class} share")
            print(f"figure {name}_largest_difference {agreement.largest_difference} logit", flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the run, made or continued")
    run, silent = Run(parser.parse_args().folder), Silent()
    train(run, TrainRequest(space="digits-stream", preset="digits-stream"), silent)
    fit(run, 60, 0, silent)
    search(run, SearchRequest(pairs=40_000), silent, template="hls4ml")
    emitted = emit(run, EmitRequest(), silent, template="hls4ml")
    verified = csim(run, silent, template="hls4ml").record
    print(f"figure hls4ml_csim_test_images {verified.images} images")
    print(f"figure hls4ml_same_class {verified.same_class} share")
    print(f"figure hls4ml_largest_difference {verified.largest_difference} logit")
    print(f"figure hls4ml_test_accuracy_float32 {emitted.project.float32:.4f} share")
    print(f"figure hls4ml_test_accuracy_fixed_point {emitted.project.quantised:.4f} share")
    record = emitted.winner.winner
    print(f"figure hls4ml_latency_predicted {record.predicted.latency_ms:.4f} ms")
    print(f"figure hls4ml_energy_predicted {record.predicted.energy_mj:.4f} mJ")
    for name, count in record.resources.items():
        print(f"figure hls4ml_{name}_predicted {count} count")
    compile_everywhere(run)


if __name__ == "__main__":
    main()
