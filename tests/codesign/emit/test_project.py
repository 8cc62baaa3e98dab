import json
import re
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.boards.emitted_projects import emit_fused_project, emit_random_project
from support.boards.twins import running, served, stated_of
from support.networks.digits_subnets import SUBNETS, random_images
from support.networks.float_networks import run_float
from support.networks.named_spaces import DIGITS
from support.networks.random_networks import network_of_every_operation, random_mapped_layers
from support.networks.small_families import SMALL_FAMILIES

from bitstreams.building.script import check_sources
from bitstreams.building.toolchain import run_csim
from codesign.emit import project as project_module
from codesign.emit.integer_reference import run_integer
from codesign.emit.program import pack_map
from codesign.emit.project import Design, project_files, write_project
from codesign.emit.quantise import quantise, quantise_image
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import fold
from codesign.supernet.network.supernet import Supernet
from cost_models.closed_form.estimate import price, price_mapped
from cost_models.coefficients import load_coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.workload import Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import read_program
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import check_record
from hw_templates.project.record import Origin, ProjectAccuracy

# Different in every parameter: narrow and wide ports, packed and not, odd pixels, rows that are no power of two.
ACCELERATORS = [
    Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=2,
        pack=2,
        ifmap_kib=16,
        weight_kib=16,
        ofmap_kib=16,
        axi_bits=64,
        clock_mhz=100,
    ),
    Accelerator(
        pe_rows=4,
        pe_cols=4,
        pe_pixels=3,
        pack=1,
        ifmap_kib=8,
        weight_kib=8,
        ofmap_kib=2,
        axi_bits=32,
        clock_mhz=100,
    ),
    Accelerator(
        pe_rows=48,
        pe_cols=8,
        pe_pixels=1,
        pack=2,
        ifmap_kib=16,
        weight_kib=24,
        ofmap_kib=24,
        axi_bits=64,
        clock_mhz=150,
        weight_port_words=2,
        ifmap_buffers=1,
        weight_buffers=1,
    ),
]

# With map memory: more rows than columns, fewer, banks that lines of results do not fill.
FUSING = [
    Accelerator(
        pe_rows=48,
        pe_cols=8,
        pe_pixels=2,
        pack=2,
        ifmap_kib=16,
        weight_kib=16,
        ofmap_kib=16,
        axi_bits=64,
        clock_mhz=200,
        map_kib=8,
        weight_port_words=2,
    ),
    Accelerator(
        pe_rows=16,
        pe_cols=24,
        pe_pixels=1,
        pack=2,
        ifmap_kib=8,
        weight_kib=32,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
        map_kib=4,
        weight_port_words=2,
        ifmap_buffers=1,
        weight_buffers=1,
        ofmap_buffers=1,
    ),
]


@pytest.mark.parametrize("accelerator", ACCELERATORS, ids=lambda a: f"{a.pe_rows}x{a.pe_cols}x{a.pe_pixels}")
def test_the_compiled_engine_equals_its_reference_and_what_is_stated(tmp_path: Path, accelerator: Accelerator) -> None:
    for seed in range(4):
        emit_random_project(tmp_path, accelerator, seed, extreme=seed == 3)
        golden = np.frombuffer((tmp_path / "program/golden.bin").read_bytes(), dtype=np.int8)
        assert len(np.unique(golden)) > 5
        assert run_csim(tmp_path).images == 2


@pytest.mark.parametrize("accelerator", FUSING, ids=lambda a: f"{a.pe_rows}x{a.pe_cols}x{a.pe_pixels}")
def test_fused_blocks_equal_the_reference_and_what_is_stated(tmp_path: Path, accelerator: Accelerator) -> None:
    kept = 0
    for seed in range(6):
        placements = emit_fused_project(tmp_path, accelerator, seed)
        kept += sum(placement.group_layers > 0 and len(placement.bands) > 1 for placement in placements)
        golden = np.frombuffer((tmp_path / "program/golden.bin").read_bytes(), dtype=np.int8)
        assert len(np.unique(golden)) > 5
        assert run_csim(tmp_path).images == 2
    assert kept > 3


ORIGIN = Origin(
    study="study",
    space="digits",
    checkpoint="0badcafe",
    subnet={"resolution": 8},
    rule="knee",
    validation_accuracy=0.9,
    test_accuracy=ProjectAccuracy(0.9, 0.8),
)


def test_the_engine_is_clean_under_sanitizers(tmp_path: Path) -> None:
    emit_random_project(
        tmp_path,
        Accelerator(
            pe_rows=8,
            pe_cols=16,
            pe_pixels=3,
            pack=2,
            ifmap_kib=4,
            weight_kib=16,
            ofmap_kib=4,
            axi_bits=64,
            clock_mhz=100,
        ),
        seed=5,
    )
    assert run_csim(tmp_path, 1, sanitize=True).images == 1
    emit_fused_project(tmp_path, FUSING[0], seed=5)
    assert run_csim(tmp_path, 1, sanitize=True).images == 1
    emit_random_project(
        tmp_path,
        Accelerator(
            pe_rows=8,
            pe_cols=16,
            pe_pixels=3,
            pack=2,
            ifmap_kib=4,
            weight_kib=16,
            ofmap_kib=4,
            axi_bits=64,
            clock_mhz=100,
        ),
        seed=6,
        extreme=True,
    )
    assert run_csim(tmp_path, 1, sanitize=True).images == 1


def test_a_subnet_of_every_published_family_runs_bit_exactly(tmp_path: Path) -> None:
    board, accelerator = load_board("zcu104"), ACCELERATORS[0]
    for seed, space in enumerate(SMALL_FAMILIES):
        subnet = space.sample(np.random.default_rng(seed))
        shape = (16, space.image_channels, subnet.resolution, subnet.resolution)
        images = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        workload = lower(space, subnet)
        weights = fold(Supernet(space, seed), subnet, images)
        network = quantise(workload, weights, images.numpy())
        pixels = quantise_image(network, images.numpy())
        exact = run_float(workload, weights, images.numpy())
        error = run_integer(network, pixels) * network.output_scale - exact
        # Rounding adds up over dozens of untrained layers; a wrong scale or order would leave nothing of the logits.
        assert np.sum(error**2) < 0.25 * np.sum(exact**2)
        for runner in (accelerator, replace(accelerator, map_kib=16)):
            design = Design(network, runner, board, price(workload, runner, board, load_coefficients()))
            write_project(tmp_path, project_files(design, pixels[:2]))
            assert run_csim(tmp_path).images == 2
        kept = [mapped for mapped in design.estimate.mapped if mapped.placement.ofmap_ring]
        assert bool(kept) == any(layer.operation == Operation.DEPTHWISE for layer in workload.layers)


def design(seed: int) -> tuple[Design, np.ndarray]:
    rng = np.random.default_rng(seed)
    network = network_of_every_operation(rng)
    mapped = random_mapped_layers(network, ACCELERATORS[1], rng)
    board = load_board("pynq-z2")
    estimate = price_mapped(network.workload, mapped, ACCELERATORS[1], board, load_coefficients())
    first = network.layers[0].node.layer
    images = rng.integers(-128, 128, (3, first.in_channels, first.in_height, first.in_width)).astype(np.int8)
    return Design(network, ACCELERATORS[1], board, estimate), images


def test_files_are_deterministic_and_name_no_place_or_time() -> None:
    files = project_files(*design(1))
    assert files == project_files(*design(1))
    for path, content in files.items():
        if not path.startswith("program/"):
            assert not re.search(rb"/(home|root|tmp|work|usr)/|20\d\d-\d\d-\d\d", content), path


def test_a_project_builds_and_runs_without_this_package(tmp_path: Path) -> None:
    made, images = design(2)
    write_project(tmp_path / "here", project_files(made, images))
    moved = tmp_path / "elsewhere"
    shutil.move(tmp_path / "here", moved)
    done = subprocess.run(["make", "csim"], cwd=moved, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count = len(made.network.layers)
    assert f"3 of 3 images, {count} of {count} layers and 4 of 4 ports agree" in done.stdout


def test_the_record_says_what_was_emitted(tmp_path: Path) -> None:
    made, images = design(3)
    files = project_files(made, images, ORIGIN)
    record = json.loads(files["project.json"])
    assert record["accelerator"] == made.accelerator.as_dict()
    assert record["origin"] == asdict(ORIGIN)
    assert [layer["name"] for layer in record["layers"]] == [layer.node.name for layer in made.network.layers]
    assert all(check_record(layer["mapped"], MappedLayer, "mapped") for layer in record["layers"])
    np.testing.assert_array_equal(
        np.frombuffer(files["program/golden.bin"], dtype=np.int8), made.compiled().results(images).ravel()
    )
    write_project(tmp_path, files)
    before = {path: (tmp_path / path).stat().st_mtime_ns for path in files}
    write_project(tmp_path, files)
    assert before == {path: (tmp_path / path).stat().st_mtime_ns for path in files}


def test_a_project_that_was_cut_off_has_no_record(tmp_path: Path, monkeypatch) -> None:
    write_project(tmp_path, project_files(*design(3)))
    files = project_files(*design(4))

    def refuse(path: Path, content: bytes) -> None:
        raise StorageError(f"{path}: disk full")

    monkeypatch.setattr(project_module, "write_bytes_atomically", refuse)
    with pytest.raises(StorageError, match="disk full"):
        write_project(tmp_path, files)
    assert not (tmp_path / "project.json").exists()
    monkeypatch.undo()
    write_project(tmp_path, files)
    assert {path: (tmp_path / path).read_bytes() for path in files} == files


def test_a_project_of_the_other_implementation_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    made, images = design(3)
    for implementation in (*Implementation, Implementation.HLS):
        files = project_files(made, images, implementation=implementation)
        write_project(tmp_path, files)
        assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == set(files)
        assert check_sources(tmp_path) == json.loads(files["project.json"])["hardware_sha256"]
        language = {Implementation.HLS: "HLS C++ (`hls/`)", Implementation.RTL: "Verilog (`rtl/`)"}[implementation]
        assert f"to be built from {language}," in files["README.md"].decode()


def test_what_a_project_of_version_1_held_goes(tmp_path: Path) -> None:
    former = [tmp_path / name for name in ("include/isa.h", "src/load.cpp", "weights/trips.bin")]
    for path in former:
        path.parent.mkdir(parents=True)
        path.touch()
    files = project_files(*design(3))
    write_project(tmp_path, files)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == set(files)


def test_the_hardware_digest_ignores_the_network() -> None:
    records = [json.loads(project_files(*design(seed))["project.json"]) for seed in (4, 5)]
    assert records[0]["hardware_sha256"] == records[1]["hardware_sha256"]
    assert records[0]["program_sha256"] != records[1]["program_sha256"]


def test_a_project_needs_test_images() -> None:
    made, images = design(6)
    with pytest.raises(InvalidValueError, match="images: must be at least one test image, got 0"):
        project_files(made, images[:0])


def test_subnets_follow_each_other_on_one_loaded_bitstream(tmp_path: Path) -> None:
    pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
    board, accelerator = (
        load_board("pynq-z2"),
        Accelerator(
            pe_rows=8,
            pe_cols=8,
            pe_pixels=4,
            pack=2,
            ifmap_kib=16,
            weight_kib=16,
            ofmap_kib=16,
            axi_bits=64,
            clock_mhz=150,
        ),
    )
    designs = []
    for seed, subnet in enumerate(SUBNETS[:6]):
        images, workload = random_images(subnet, seed=seed), lower(DIGITS, subnet)
        network = quantise(workload, fold(Supernet(DIGITS, seed), subnet, images), images.numpy())
        estimate = price(workload, accelerator, board, load_coefficients())
        designs.append((Design(network, accelerator, board, estimate), quantise_image(network, images.numpy())))
    folders = [tmp_path / str(index) for index in range(len(designs))]
    for folder, (design, pixels) in zip(folders, designs, strict=True):
        write_project(folder, project_files(design, pixels))
    with served(folders[0]) as server, running(server, tmp_path) as engine:
        for folder, (design, pixels) in zip(folders, designs, strict=True):
            engine.load_program(read_program(folder))
            packed = pack_map(pixels, accelerator)
            logits = np.frombuffer(b"".join(engine.run(row.tobytes() for row in packed)), np.int8)
            assert np.array_equal(logits.reshape(len(pixels), -1), design.compiled().results(pixels))
            assert list(map(tuple, engine.trips())) == stated_of(folder)
