import json
from pathlib import Path

import pytest
from shared_data import shared_data

from cost_models.importers.mlperf_tiny import read_dataflow_runs, read_mlperf_tiny
from hw_templates.errors import StorageError

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


def test_rows_become_measurements(folder: Path) -> None:
    first, second = read_mlperf_tiny(folder / "mlperf_tiny_fpga_measured.csv")
    assert (first.engine, first.network, first.clock_mhz, first.power_w) == ("hls4ml", "NET", 200.0, 1.5)
    assert first.latency_ms.p50 == pytest.approx(0.02)
    assert (second.engine, second.clock_mhz, second.power_w, second.repetitions) == ("finn", 100.0, None, 5000)


def test_layers_follow_each_other(folder: Path) -> None:
    (run,) = read_dataflow_runs(folder)
    convolution, dense = run.layers
    assert (convolution.height, convolution.kernel, convolution.stride, convolution.reuse_factor) == (8, 3, 2, 27)
    assert (dense.height, dense.channels, dense.outputs, dense.reuse_factor) == (4, 4, 10, 640)


def test_a_broken_configuration_or_unknown_round_is_named(folder: Path) -> None:
    table = folder / "mlperf_tiny_fpga_measured.csv"
    table.write_text(MEASURED.replace("v0.7,FINN", "v9,FINN"))
    with pytest.raises(StorageError, match=r"measured\.csv:3: round must be one of v0\.5, v0\.7, got 'v9'"):
        read_mlperf_tiny(table)
    (folder / "hls4ml_configs.json").write_text("{")
    with pytest.raises(StorageError, match=r"hls4ml_configs\.json: cannot be read"):
        read_dataflow_runs(folder)


def test_the_published_designs() -> None:
    runs = {run.measurement.network: run for run in read_dataflow_runs(shared_data("mlperf_tiny"))}
    assert set(runs) == {"AD08", "AD03", "RN06", "RN07"}
    assert [len(runs[name].layers) for name in ("AD08", "AD03", "RN06", "RN07")] == [6, 4, 4, 6]
    assert [layer.kernel for layer in runs["RN07"].layers] == [1, 4, 4, 4, 4, 0]
    assert {layer.reuse_factor for layer in runs["AD08"].layers} == {144, 8}
