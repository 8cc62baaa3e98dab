import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.mutations import drive, mutated_json, mutated_text
from support.shared_data import shared_data

from cost_models.measurements.importers.mlperf_tiny import read_mlperf_tiny
from hw_templates.foundation.errors import StorageError

MEASURED = """round,flow,board,model,latency_us,n_windows,n_inferences_per_window,power_W_median
v0.7,hls4ml,pynq-z2,NET,20,5,1000,1.5
v0.7,FINN,pynq-z2,OTHER,30,5,1000,
"""
CONFIG = {
    "NET@pynq-z2": {
        "config": {"convert": {"ClockPeriod": 5, "ReuseFactor": 640, "Override": {"conv": {"ReuseFactor": 27}}}}
    }
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mlperf_tiny_fpga_measured.csv").write_text(MEASURED)
    (tmp_path / "hls4ml_configs.json").write_text(json.dumps(CONFIG))
    return tmp_path


def test_rows_become_measurements(folder: Path) -> None:
    first, second = read_mlperf_tiny(folder / "mlperf_tiny_fpga_measured.csv")
    assert (first.engine, first.network, first.clock_mhz, first.power_w) == ("hls4ml", "NET", 200.0, 1.5)
    assert first.latency_ms.p50 == pytest.approx(0.02)
    assert (second.engine, second.clock_mhz, second.power_w, second.repetitions) == ("finn", 100.0, None, 5000)


def test_a_broken_configuration_or_unknown_round_is_named(folder: Path) -> None:
    table = folder / "mlperf_tiny_fpga_measured.csv"
    table.write_text(MEASURED.replace("v0.7,FINN", "v9,FINN"))
    with pytest.raises(StorageError, match=r"measured\.csv:3: round must be v0\.5 or v0\.7, got 'v9'"):
        read_mlperf_tiny(table)
    (folder / "hls4ml_configs.json").write_text("{")
    with pytest.raises(StorageError, match=r"hls4ml_configs\.json: hls4ml_configs: must be sound JSON"):
        read_mlperf_tiny(table)


def test_the_clock_is_that_of_the_design_on_the_board(folder: Path) -> None:
    entries = {
        "NET@arty(power)": {"convert": {"Board": "arty", "EEMBC_power": 1, "ClockPeriod": 20}},
        "NET@arty(acc)": {"convert": {"Board": "arty", "EEMBC_power": 0, "ClockPeriod": 8}},
        "NET@zybo(acc)": {"convert": {"board_name": "zybo", "clock_period": 4}},
    }
    text = json.dumps({name: {"config": config} for name, config in entries.items()})
    (folder / "hls4ml_configs.json").write_text(text)
    table = folder / "mlperf_tiny_fpga_measured.csv"
    for board, clock_mhz in (("arty", 125), ("zybo", 250)):
        table.write_text(MEASURED.replace("pynq-z2,NET", f"{board},NET"))
        assert read_mlperf_tiny(table)[0].clock_mhz == clock_mhz


def test_a_clock_that_nothing_says_must_be_given(folder: Path) -> None:
    table = folder / "mlperf_tiny_fpga_measured.csv"
    header, first, second = MEASURED.replace("pynq-z2,NET", "zcu104,NET").splitlines()
    table.write_text(f"{header}\n{first}\n")
    with pytest.raises(StorageError, match=r"measured\.csv:2: clock_mhz must be given for NET of hls4ml on zcu104"):
        read_mlperf_tiny(table)
    table.write_text(f"{header},clock_mhz\n{first},150\n{second},\n")
    assert [run.clock_mhz for run in read_mlperf_tiny(table)] == [150, 100]


def test_a_rate_that_contradicts_the_latency_or_the_power(folder: Path) -> None:
    table = folder / "mlperf_tiny_fpga_measured.csv"
    header, first, _ = MEASURED.splitlines()
    table.write_text(f"{header},power_run_throughput_inf_s\n{first},52000\n{first},49000\n")
    lines: list[str] = []
    assert [run.power_w for run in read_mlperf_tiny(table, lines.append)] == [1.5, 1.5]
    assert lines == []
    table.write_text(f"{header},power_run_throughput_inf_s\n{first},36000\n")
    assert [run.power_w for run in read_mlperf_tiny(table, lines.append)] == [None]
    assert lines[0].startswith("1 of 1 rows' power: it was measured at another rate than the latency")
    table.write_text(f"{header},throughput_inf_s_median\n{first},50\n")
    with pytest.raises(StorageError, match=r"csv:2: latency_us must be 1e6 over throughput_inf_s_median, got 20"):
        read_mlperf_tiny(table)


def test_whatever_the_files_hold_is_read_or_refused_in_one_line(folder: Path) -> None:
    def reader(name: str) -> Callable[[bytes], None]:
        def read(content: bytes) -> None:
            (folder / name).write_bytes(content)
            read_mlperf_tiny(folder / "mlperf_tiny_fpga_measured.csv")

        return read

    for name, inputs in (
        ("mlperf_tiny_fpga_measured.csv", mutated_text(MEASURED, 2_000)),
        ("hls4ml_configs.json", mutated_json(CONFIG, 2_000)),
    ):
        sound = (folder / name).read_bytes()
        accepted, refused = drive(reader(name), inputs)
        assert accepted > 50
        assert refused > 300
        (folder / name).write_bytes(sound)


def test_the_published_designs() -> None:
    rows = read_mlperf_tiny(shared_data("mlperf_tiny") / "mlperf_tiny_fpga_measured.csv")
    assert len(rows) == 10
    assert {run.network for run in rows if run.clock_mhz > 100} == {"RN07"}
    assert {run.board for run in rows if run.power_w is None} == {"arty-a7-100t", "pynq-z2"}
