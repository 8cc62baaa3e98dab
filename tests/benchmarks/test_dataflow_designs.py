"""Designs of hls4ml with their layers, and the one constant of a flow."""

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.mutations import drive, mutated_json, mutated_text
from support.shared_data import shared_data

from hw_templates.foundation.errors import StorageError

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/dataflow_designs.py"))
call_overhead_ms, read_dataflow_runs = SCRIPT["call_overhead_ms"], SCRIPT["read_dataflow_runs"]
MEASURED = """round,flow,board,model,latency_us,n_windows,n_inferences_per_window,power_W_median
v0.7,hls4ml,pynq-z2,NET,20,5,1000,1.5
v0.7,FINN,pynq-z2,OTHER,30,5,1000,
"""
LAYERS = """model,layer,cls,filters,kernel,strides,in_shape
NET,input_1,InputLayer,,,,"[None, 8, 8, 3]"
NET,conv,QConv2D,4,"[3, 3]","[2, 2]",
NET,relu,QActivation,,,,
NET,dense,QDense,10,,,
"""
CONFIG = {
    "NET@pynq-z2": {
        "config": {"convert": {"ClockPeriod": 5, "ReuseFactor": 640, "Override": {"conv": {"ReuseFactor": 27}}}}
    }
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mlperf_tiny_fpga_measured.csv").write_text(MEASURED)
    (tmp_path / "hls4ml_model_layers.csv").write_text(LAYERS)
    (tmp_path / "hls4ml_configs.json").write_text(json.dumps(CONFIG))
    return tmp_path


def test_layers_follow_each_other(folder: Path) -> None:
    (run,) = read_dataflow_runs(folder)
    convolution, dense = run.layers
    assert (convolution.height, convolution.kernel, convolution.stride, convolution.reuse_factor) == (8, 3, 2, 27)
    assert (dense.height, dense.channels, dense.outputs, dense.reuse_factor) == (4, 4, 10, 640)


def test_a_broken_configuration_is_named(folder: Path) -> None:
    (folder / "hls4ml_configs.json").write_text("{")
    with pytest.raises(StorageError, match=r"hls4ml_configs\.json: hls4ml_configs: must be sound JSON"):
        read_dataflow_runs(folder)


def test_whatever_the_files_hold_is_read_or_refused_in_one_line(folder: Path) -> None:
    def reader(name: str) -> Callable[[bytes], None]:
        def read(content: bytes) -> None:
            (folder / name).write_bytes(content)
            read_dataflow_runs(folder)

        return read

    for name, inputs in (
        ("mlperf_tiny_fpga_measured.csv", mutated_text(MEASURED, 2_000)),
        ("hls4ml_model_layers.csv", mutated_text(LAYERS, 2_000)),
        ("hls4ml_configs.json", mutated_json(CONFIG, 2_000)),
    ):
        sound = (folder / name).read_bytes()
        accepted, refused = drive(reader(name), inputs)
        assert accepted > 50
        assert refused > 300
        (folder / name).write_bytes(sound)


def test_the_published_designs() -> None:
    runs = {run.measurement.network: run for run in read_dataflow_runs(shared_data("mlperf_tiny"))}
    assert set(runs) == {"AD08", "AD03", "RN06", "RN07"}
    assert [len(runs[name].layers) for name in ("AD08", "AD03", "RN06", "RN07")] == [6, 4, 4, 6]
    assert [layer.kernel for layer in runs["RN07"].layers] == [1, 4, 4, 4, 4, 0]
    assert {layer.reuse_factor for layer in runs["AD08"].layers} == {144, 8}


def test_the_constant_of_a_flow_is_the_best_of_all() -> None:
    predicted, measured = np.array([0.01, 0.1, 8.0]), np.array([0.02, 0.108, 9.0])
    found = call_overhead_ms(predicted, measured)
    misfit = [np.abs(np.log((predicted + c) / measured)).sum() for c in [found, *np.linspace(0, 1.5, 500)]]
    assert np.argmin(misfit) == 0
    assert call_overhead_ms([2.0], [1.0]) == 0.0
