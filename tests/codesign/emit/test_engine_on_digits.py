"""Subnets trained on digits on the engine: their accuracies, and their logits on both of its implementations."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.verilog.engines import ENGINES, MORE_WITH_MAPS, cpp_simulation_of, simulation_of
from support.verilog.simulated import run as simulate

from codesign.emit.engine_reference import run_engine
from codesign.emit.integer_reference import QuantisedNetwork, run_integer
from codesign.emit.network import compile_network, program_files
from codesign.emit.program import engine_node
from codesign.emit.quantise import quantise, quantise_image
from codesign.run.folder import Run
from codesign.run.searched import load_trained
from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES
from codesign.supernet.data.data_set import Split
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import fold
from codesign.supernet.spaces.space import Subnet
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients
from cost_models.workload import Workload
from hw_templates.board import load_board
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.foundation.arrays import Int8Array

IMAGES = 8
BOARD = load_board("zcu104")


class Digits:
    """Subnets of a trained run in integers, and all images for them."""

    def __init__(self, run: Run) -> None:
        self.trained = load_trained(run)
        space = self.trained.space
        rng = np.random.default_rng(0)
        self.subnets = [space.largest(), space.smallest(), space.sample(rng), space.sample(rng)]

    def quantised(self, subnet: Subnet, weight_bits: int) -> QuantisedNetwork:
        """The subnet in integers; with 4 bits the weights of all convolutions but the last have them."""
        calibration = self.trained.data.resized(Split.TRAIN, subnet.resolution)[:CALIBRATION_IMAGES]
        nodes = lower(self.trained.space, subnet).nodes
        changed = [
            replace(node, layer=replace(node.layer, weight_bits=weight_bits))
            if node.layer.operation.has_weights and node is not nodes[-1]
            else node
            for node in nodes
        ]
        weights = fold(self.trained.checkpoint.supernet(), subnet, calibration)
        return quantise(Workload(tuple(changed)), weights, calibration.numpy())

    def images(self, network: QuantisedNetwork, split: Split) -> Int8Array:
        """The images of a part as the network reads them."""
        resolution = network.layers[0].node.layer.in_height
        return quantise_image(network, self.trained.data.resized(split, resolution).numpy())


@pytest.fixture(scope="module")
def digits(finished_run: Run) -> Digits:
    return Digits(finished_run)


def on_engine(network: QuantisedNetwork, shape: EngineShape, images: Int8Array) -> dict[str, bytes]:
    """The files of the network's program for an engine, in the tiles that the mapper chooses."""
    estimate = price(network.workload, shape.accelerator, BOARD, load_coefficients("prior"))
    return program_files(compile_network(network, estimate.mapped, shape), images)


@pytest.mark.parametrize("bits", [8, 4])
def test_accuracies_are_those_of_the_integer_reference_within_a_tenth_of_a_point(digits: Digits, bits: int) -> None:
    shape = ENGINES["double buffers"]
    for subnet in digits.subnets:
        network = digits.quantised(subnet, bits)
        estimate = price(network.workload, shape.accelerator, BOARD, load_coefficients("prior"))
        nodes = [
            engine_node(layer, priced.mapped.mapping, shape)
            for layer, priced in zip(network.layers, estimate.layers, strict=True)
        ]
        right = {"integers": 0, "engine": 0}
        count = 0
        for split in Split:
            images, labels = digits.images(network, split), digits.trained.data.labels[split].numpy()
            right["integers"] += (run_integer(network, images).argmax(axis=1) == labels).sum()
            right["engine"] += (run_engine(network.workload, nodes, images).argmax(axis=1) == labels).sum()
            count += len(labels)
        assert right["integers"] > 0.3 * count
        assert abs(right["engine"] - right["integers"]) <= 0.001 * count, subnet


def simulated(folder: Path, digits: Digits, name: str, simulation: Path, parts: Sequence[slice]) -> list[int]:
    """How many images the simulation of an engine runs of each subnet's part of the test images; all must agree."""
    counts = []
    shape = (ENGINES | MORE_WITH_MAPS)[name]
    for index, (subnet, part) in enumerate(zip(digits.subnets, parts, strict=True)):
        network = digits.quantised(subnet, 4 if index % 2 else 8)
        images = digits.images(network, Split.TEST)[part]
        project = folder / str(index)
        for path, content in on_engine(network, shape, images).items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_bytes(content)
        printed = simulate(simulation, str(project / "program"), "--images", str(project / "program/images.bin"))
        # A layer that runs in bands is counted band by band.
        agreed = rf"{len(images)} of {len(images)} images, (\d+) of \1 layers and 4 of 4 ports agree"
        found = re.fullmatch(agreed, printed.splitlines()[-1])
        assert found, printed
        assert int(found[1]) >= len(network.layers)
        assert len({*np.frombuffer((project / "program/golden.bin").read_bytes(), np.int8)}) > 5
        counts.append(len(images))
    return counts


def parts_of(digits: Digits) -> list[slice]:
    """The parts of the test images that the subnets run."""
    share = IMAGES // len(digits.subnets)
    return [slice(share * index, share * (index + 1)) for index in range(len(digits.subnets))]


@pytest.mark.parametrize("name", ENGINES)
def test_logits_are_bit_exact_on_verilog(
    digits: Digits, name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each subnet runs other images, for its layers are what is new to the engine."""
    assert sum(simulated(tmp_path, digits, name, simulation_of(name, tmp_path_factory), parts_of(digits))) == IMAGES


@pytest.mark.parametrize("name", ENGINES)
def test_logits_are_bit_exact_in_cpp(
    digits: Digits, name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    simulation = cpp_simulation_of(name, tmp_path_factory)
    assert sum(simulated(tmp_path, digits, name, simulation, parts_of(digits))) == IMAGES


@pytest.mark.long
@pytest.mark.parametrize("name", [*ENGINES, *MORE_WITH_MAPS])
def test_logits_of_the_whole_test_set_are_bit_exact_on_verilog(
    digits: Digits, name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = [slice(None)] * len(digits.subnets)
    counts = simulated(tmp_path, digits, name, simulation_of(name, tmp_path_factory), whole)
    assert counts == [len(digits.trained.data.labels[Split.TEST])] * len(digits.subnets)
