"""With the real hls4ml, which also compiles."""

import os
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec

import pytest
from support.networks.stream_networks import random_stream_network

from codesign.templates.hls4ml.network import keras_name
from codesign.templates.hls4ml.project import HLS4ML, backend_of, require_hls4ml, simulate, write_hls4ml_project
from cost_models.hls4ml.stages import reuse_factors, stages
from hw_templates.board import load_board
from hw_templates.foundation.errors import ToolError, VerificationError
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, IoType

with_hls4ml = pytest.mark.skipif(find_spec("hls4ml") is None, reason="hls4ml is not installed: extra hls4ml")
DESIGN = Hls4mlAccelerator(8, IoType.STREAM, 2048, 100)


@with_hls4ml
@pytest.mark.parametrize("board", ["pynq-z2", "zcu104"])
@pytest.mark.parametrize(("io_type", "interval_cycles"), [(IoType.STREAM, 2048), (IoType.PARALLEL, 2**20)])
def test_the_compiled_project_agrees_with_the_fixed_point_network(tmp_path, board, io_type, interval_cycles):
    fixed, images = random_stream_network(8)
    design = Hls4mlAccelerator(8, io_type, interval_cycles, 100)
    model = write_hls4ml_project(tmp_path, fixed, design, load_board(board))
    agreement = simulate(model, fixed, images, "digest")
    assert (agreement.program_sha256, agreement.images) == ("digest", len(images))
    assert agreement.same_class == 1
    assert agreement.largest_difference == 0
    assert agreement.tolerance == fixed.network.output_scale / 2


@with_hls4ml
@pytest.mark.parametrize("board", ["pynq-z2", "zcu104"])
@pytest.mark.parametrize("io_type", list(IoType))
def test_what_hls4ml_writes_has_the_board_the_clock_and_the_reuse_factors(tmp_path, board, io_type):
    fixed, _ = random_stream_network(6)
    design = Hls4mlAccelerator(6, io_type, 2048, 100)
    model = write_hls4ml_project(tmp_path, fixed, design, load_board(board))
    project = (tmp_path / "project.tcl").read_text()
    assert load_board(board).part in project
    assert "10.0" in project
    network = stages(fixed.network.workload, io_type)
    wanted = dict(zip((keras_name(stage.name) for stage in network), reuse_factors(network, design), strict=True))
    taken = {layer.name: layer.get_attr("reuse_factor") for layer in model.get_layers()}
    assert {name: taken[name] for name in wanted} == wanted
    assert (tmp_path / "firmware" / "network.cpp").is_file()
    assert (tmp_path / "model.h5").is_file()


def test_boards_with_a_block_design_of_hls4ml_have_its_backend():
    assert backend_of(load_board("pynq-z2")) == "VivadoAccelerator"
    assert backend_of(load_board("zcu104")) == "Vitis"


@pytest.mark.parametrize("found", ["1.2.0", None])
def test_without_hls4ml_one_line_names_the_extra(monkeypatch, tmp_path, found):
    def version(_name):
        if found is None:
            raise PackageNotFoundError
        return found

    monkeypatch.setattr("importlib.metadata.version", version)
    expected = rf"hls4ml: must be version 1\.3\.0, got {found or 'none'}; run `.* -m pip install .*\[hls4ml\]'?`"
    with pytest.raises(ToolError, match=expected):
        require_hls4ml()
    with pytest.raises(ToolError, match=expected):
        write_hls4ml_project(tmp_path / "none", random_stream_network(8)[0], DESIGN, load_board("pynq-z2"))
    assert not (tmp_path / "none").exists()


class StandIn:
    """A compiled model that gives the same logits for every image."""

    def compile(self):
        """Nothing to do."""

    def predict(self, images):
        return [[0.0] * 10] * len(images)


def test_other_logits_are_a_failure():
    fixed, images = random_stream_network(8)
    with pytest.raises(VerificationError, match=r"differs from the fixed-point network by .* in a logit"):
        simulate(StandIn(), fixed, images, "digest")


def test_an_assertion_of_the_compiled_code_is_one_line():
    def dies(_images):
        os.write(2, b"network.cpp:7: Assertion `reuse_factor <= inputs' failed.\n")
        os.abort()

    fixed, images = random_stream_network(8)
    model = StandIn()
    model.predict = dies
    with pytest.raises(ToolError, match=r"^hls4ml: its C\+\+ ended before the last image: .*reuse_factor <= inputs"):
        simulate(model, fixed, images, "digest")


def test_what_fails_in_hls4ml_is_one_line():
    def broken():
        raise Exception("Failed to\ncompile")

    fixed, images = random_stream_network(8)
    model = StandIn()
    model.compile = broken
    with pytest.raises(ToolError, match=r"^hls4ml: Failed to compile$"):
        simulate(model, fixed, images, "digest")
    assert HLS4ML == "1.3.0"
