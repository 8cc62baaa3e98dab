import time
from pathlib import Path

import numpy as np
import pytest
from support.boards.twins import connected
from support.mutations import drive, mutated_text

from bitstreams.board.power import PowerTrace, energy_of, hwmon_reader, log_power, read_meter
from bitstreams.twin.board import TwinBoard
from bitstreams.twin.server import TwinServer
from cost_models.coefficients import load_coefficients
from hw_templates.foundation.errors import BoardError, StorageError


def test_energy_is_busy_power_times_time_and_the_idle_part_is_told_apart() -> None:
    times = np.arange(0, 10.01, 0.1)
    trace = PowerTrace(times, np.where(times < 5, 2.0, 3.5), "meter")
    energy = energy_of(trace, idle=(1, 4), busy=(6, 9), images=1500)
    assert (energy.idle_w, energy.busy_w) == pytest.approx((2, 3.5))
    assert energy.total_mj == pytest.approx(3.5 * 2)
    assert energy.above_idle_mj == pytest.approx(1.5 * 2)


def test_the_mean_is_that_of_straight_lines_between_samples() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 10, 200))
    trace = PowerTrace(times, 1 + times**2, "meter")
    fine = np.linspace(2, 8, 100_001)
    assert trace.mean_w((2, 8)) == pytest.approx(np.interp(fine, times, trace.watts).mean(), rel=1e-4)


def test_a_trace_that_does_not_cover_a_window_is_refused() -> None:
    trace = PowerTrace(np.arange(5.0), np.ones(5), "meter m.csv")
    for window in ((-1, 3), (1, 9), (1.1, 1.9)):
        with pytest.raises(StorageError, match=r"meter m\.csv: must cover .* has 0\.0 to 4\.0"):
            trace.mean_w(window)


def test_a_meters_file_is_read_in_either_form(tmp_path: Path) -> None:
    path = tmp_path / "meter.csv"
    path.write_text("time,power_w\n0,2.5\n1.5,3\n")
    assert read_meter(path).watts.tolist() == [2.5, 3]
    path.write_text("time,voltage_v,current_a\n1970-01-01T01:00:02+01:00,5,0.5\n1970-01-01T00:00:03+00:00,5,0.6\n")
    trace = read_meter(path)
    assert trace.times_s.tolist() == [2, 3]
    assert trace.watts == pytest.approx([2.5, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seconds,power_w\n", "must have columns time and power_w"),
        ("time,power_w\n0,much\n", r"meter\.csv:2: power_w must be a finite number, got 'much'"),
        ("time,power_w\n0,1\n\n0,1\n", r"meter\.csv:4: times must ascend, got 0\.0 after 0\.0"),
        ("time,power_w\n0,nan\n", "power_w must be a finite number, got 'nan'"),
        ("time,power_w\nnan,1\n", r"meter\.csv:2: time must be finite"),
        ("time,power_w\n0,1\nnoon,1\n", r"meter\.csv:3: time must be seconds since 1970 or ISO 8601, got 'noon'"),
        ("time,voltage_v,current_a\n0,1e200,1e200\n", "powers must be finite, got 1e200 times 1e200"),
        ("time,power_w\n0,1\n1\n2,1\n", r"meter\.csv:3: must have 2 cells, as many as columns, got 1"),
        ("time,power_w", "must have columns time and power_w"),
        ("time,power_w\n2026-01-01T00:00:00,1\n", "must have a zone"),
    ],
)
def test_a_file_that_is_no_meters_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "meter.csv").write_text(text)
    with pytest.raises(StorageError, match=message):
        read_meter(tmp_path / "meter.csv")


def test_a_line_that_a_meter_is_still_writing_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "meter.csv"
    written = "time,power_w\n0,2.5\n1.5,3.25\n"
    for end in range(written.index("\n") + 1, len(written) + 1):
        path.write_text(written[:end])
        assert read_meter(path).watts.tolist() == [2.5, 3.25][: written[:end].count("\n") - 1]


@pytest.mark.parametrize(
    "sample",
    [
        "time,power_w\n0,2.5\n1.5,3\n2,2.25\n",
        "time,voltage_v,current_a\n1970-01-01T01:00:02+01:00,5,0.5\n1970-01-01T00:00:03+00:00,5,0.6\n",
    ],
)
def test_whatever_a_meters_file_holds_is_read_or_refused_in_one_line(sample: str, tmp_path: Path) -> None:
    path = tmp_path / "meter.csv"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        trace = read_meter(path)
        assert np.isfinite(trace.watts).all()
        assert np.isfinite(trace.times_s).all()
        assert (np.diff(trace.times_s) > 0).all()

    accepted, refused = drive(read, mutated_text(sample, 2_000))
    assert accepted > 50
    assert refused > 500


def test_a_boards_own_sensor_is_found_and_logged(
    zynq_twin: TwinServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with connected(zynq_twin) as session:
        with pytest.raises(BoardError, match="has no power sensor"):
            hwmon_reader(session)
        files = zynq_twin.board.files
        files["/sys/class/hwmon/hwmon2/name"] = b"ina260_u14\n"
        files["/sys/class/hwmon/hwmon2/power1_input"] = b"5250000\n"
        name, watts = hwmon_reader(session)
        stop = log_power(name, watts)
        time.sleep(0.2)
        trace = stop()
        assert trace.source == "ina260_u14"
        assert set(trace.watts) == {5.25}
        assert np.all(np.diff(trace.times_s) > 0)
        stop = log_power(name, watts)
        files["/sys/class/hwmon/hwmon2/power1_input"] = b"garbage"
        time.sleep(0.3)
        with pytest.raises(BoardError, match="ina260_u14: stopped answering"):
            stop()


def test_the_twin_of_a_kv260_has_the_sensor_that_the_board_has(tmp_path: Path) -> None:
    from support.boards.emitted_projects import emit_random_project
    from support.boards.twins import ACCELERATOR

    emit_random_project(tmp_path / "project", ACCELERATOR, seed=1, board_name="kv260")
    board = TwinBoard(tmp_path / "project", load_coefficients())
    assert board.files["/sys/class/hwmon/hwmon0/power1_input"] == b"5000000\n"
    board.close()
