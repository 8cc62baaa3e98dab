import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mutations import drive, from_file, mutated_json
from support.small_disk import small_disk

from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.measurements.measurement import (
    MeasuredLayer,
    Measurement,
    Percentiles,
    append_measurements,
    new_run_id,
    read_measurements,
)
from cost_models.workload import Activation, Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import CodesignError, InvalidValueError, MappingError, StorageError
from hw_templates.foundation.json_records import check_record, parse_json

LAYER = Layer(
    operation=Operation.CONV,
    in_channels=16,
    out_channels=32,
    in_height=8,
    in_width=8,
    kernel_height=3,
    kernel_width=3,
    stride=1,
    padding=1,
)
OWN = Measurement(
    engine="conv_engine_hls",
    board="pynq-z2",
    campaign="first",
    source="a test",
    clock_mhz=100,
    latency_ms=Percentiles(p50=0.5, p05=0.49, p95=0.6),
    date="2026-01-31",
    bitstream="0" * 64,
    layers=(
        MeasuredLayer(
            LAYER,
            Activation.RELU,
            Mapping(
                tile_out_channels=16,
                tile_in_channels=16,
                tile_height=8,
                tile_width=8,
                loop_order=LoopOrder.PIXELS_OUTER,
            ),
        ),
    ),
    accelerator=Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=1,
        pack=2,
        ifmap_kib=8,
        weight_kib=16,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
    ),
    repetitions=100,
    counters={"compute_cycles": 40_000},
    power_w=1.6,
)
FOREIGN = Measurement(
    engine="hls4ml",
    board="pynq-z2",
    campaign="v0.7",
    source="a table",
    clock_mhz=100.0,
    latency_ms=Percentiles(27.3),
    network="RN07",
)


def line(**changes: object) -> str:
    return json.dumps({**asdict(OWN), **changes})


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "board.jsonl"
    append_measurements(path, [OWN])
    before = path.read_bytes()
    append_measurements(path, [FOREIGN])
    assert path.read_bytes().startswith(before)
    assert read_measurements([path]) == (OWN, FOREIGN)


@given(latency=st.floats(1e-6, 1e6), batch=st.integers(1, 64), power=st.none() | st.floats(0.1, 100))
def test_numbers_survive_the_file(latency: float, batch: int, power: float | None) -> None:
    record = replace(FOREIGN, latency_ms=Percentiles(latency), batch=batch, power_w=power)
    assert parse_json(json.dumps(asdict(record)), Measurement, "measurement") == record


def test_a_line_that_was_cut_off_goes_and_one_without_its_end_stays(tmp_path: Path) -> None:
    path = tmp_path / "board.jsonl"
    append_measurements(path, [OWN])
    with path.open("a") as file:
        file.write('{"schema": 1, "engi')
    assert read_measurements([path]) == (OWN,)
    append_measurements(path, [FOREIGN])
    assert read_measurements([path]) == (OWN, FOREIGN)
    path.write_text(line())
    assert read_measurements([path]) == (OWN,)
    append_measurements(path, [FOREIGN])
    assert read_measurements([path]) == (OWN, FOREIGN)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (line(latency_ms={"p50": -1}), "measurement.latency_ms.p50: must be a positive number of milliseconds, got -1"),
        (line(latency_ms={"p50": 2, "p95": 1}), "measurement.latency_ms: must be ascending"),
        (line(latency_ms={"p05": 1}), "measurement.latency_ms.p50: must be given, got None"),
        (line(latency_us=500), "measurement.latency_us: must be given as latency_ms, got 500"),
        (line(clock_hz=1e8), "measurement.clock_hz: must be given as clock_mhz, got 100000000.0"),
        (line(clock_mhz=1e8), "measurement.clock_mhz: must be a positive number of megahertz, below 10000"),
        (line(clock_mhz=150), "measurement.clock_mhz: must be at most the accelerator's clock, got 150"),
        (line(power_w=0), "measurement.power_w: must be a positive number of watts, got 0"),
        (line(schema=2), "measurement.format: must be 1, which this version reads, got 2"),
        (line(batch=1.5), "measurement.batch: must be a whole number, got 1.5"),
        (line(date="31.1.2026"), "measurement.date: must be a day as YYYY-MM-DD, got '31.1.2026'"),
        (line(date=None), "measurement.date: must be given for conv_engine_hls, got None"),
        (
            line(engine="conv_engine"),
            "measurement.engine: must be conv_engine_hls or conv_engine_rtl; that engine is no more, measure again "
            "with `codesign calibrate run`",
        ),
        (line(board=" "), "measurement.board: must be text that is not empty, got ' '"),
        (line(bitstream="abc"), "measurement.bitstream: must be a sha256 in hexadecimal, got 'abc'"),
        (line(layers=[]), "measurement.layers: must be at least one layer, or the network named, got ()"),
        (line(layers=[{"layer": {"operation": "dense"}}]), "measurement.layers[0].layer.operation: must be one of"),
        (line(layers=[{}]), "measurement.layers[0].layer: must be given, got None"),
        (line(layers=7), "measurement.layers: must be a list, got 7"),
        (line(accelerator=None), "measurement.accelerator: must be given for conv_engine_hls"),
        (line(counters={"compute_cycles": -1}), "measurement.counters.compute_cycles: must be a number, zero or more"),
        (line(run_id=" "), "measurement.run_id: must be text that is not empty, got ' '"),
        (line(settings=[2]), "measurement.settings: must be an object, got [2]"),
        (line(surprise=1), "measurement.surprise: must be a known field, got 1"),
        (
            '{"schema": 1, "power_w": NaN}',
            "measurement: must be sound JSON (JSON is malformed: invalid character (byte 25)), got 'ema\": 1",
        ),
        ("[1]", "measurement: must be an object, got [1]"),
        ("{", "measurement: must be sound JSON (Input data was truncated)"),
    ],
)
def test_a_bad_line_is_named_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(f"{line()}\n{text}\n")
    with pytest.raises(StorageError) as raised:
        read_measurements([path])
    assert f"{path}:2: " in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_required_field_is_named_when_it_is_missing() -> None:
    for name in ("engine", "board", "campaign", "source", "clock_mhz", "latency_ms"):
        values = asdict(OWN)
        del values[name]
        with pytest.raises(InvalidValueError, match=rf"measurement\.{name}: must be given, got None"):
            check_record(values, Measurement, "measurement")


def test_the_same_run_twice_is_refused_across_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        append_measurements(tmp_path / name, [OWN])
    with pytest.raises(StorageError, match=r"b:1: the same run as .*a:1; remove one of them"):
        read_measurements([tmp_path / "a", tmp_path / "b"])


def test_equal_runs_are_told_apart_by_their_identity_alone(tmp_path: Path) -> None:
    first, second = (replace(OWN, run_id=new_run_id()) for _ in range(2))
    append_measurements(tmp_path / "a", [first, second])
    assert read_measurements([tmp_path / "a"]) == (first, second)
    append_measurements(tmp_path / "b", [replace(first, power_w=2.0)])
    with pytest.raises(StorageError, match=r"b:1: the same run as .*a:1; remove one of them"):
        read_measurements([tmp_path / "a", tmp_path / "b"])


def test_a_file_from_before_runs_had_an_identity_is_read(tmp_path: Path) -> None:
    records: list[dict[str, object]] = [{"schema": 1, **asdict(OWN), "counters": {"run": number}} for number in (1, 2)]
    for record in records:
        del record["run_id"]
    (tmp_path / "old").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    runs = read_measurements([tmp_path / "old"])
    assert runs == tuple(replace(OWN, counters={"run": number}) for number in (1, 2))


def test_a_full_disk_keeps_what_was_measured(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=12) as disk:
        path, kept = disk / "board.jsonl", []

        def measure_until_full() -> None:
            for run in range(100):
                append_measurements(path, [replace(OWN, repetitions=run + 1)])
                kept.append(run + 1)

        with pytest.raises(StorageError, match=r"board\.jsonl: cannot be written \(No space left on device\)"):
            measure_until_full()
        assert len(kept) > 5
        assert [run.repetitions for run in read_measurements([path])] == kept


def test_an_empty_or_absent_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is missing"):
        read_measurements([tmp_path / "absent"])
    (tmp_path / "empty").write_text("")
    with pytest.raises(StorageError, match="no measurements"):
        read_measurements([tmp_path / "empty"])


def test_a_mapping_must_be_legal_on_the_accelerator() -> None:
    huge = MeasuredLayer(
        Layer(operation=Operation.CONV, in_channels=512, out_channels=512, in_height=8, in_width=8),
        mapping=Mapping(
            tile_out_channels=512, tile_in_channels=512, tile_height=8, tile_width=8, loop_order=LoopOrder.PIXELS_OUTER
        ),
    )
    with pytest.raises(MappingError):
        replace(OWN, layers=(huge,))
    with pytest.raises(CodesignError, match=r"layers\[0\]\.mapping: must be given"):
        replace(OWN, layers=(MeasuredLayer(LAYER),))


def test_any_spoilt_line_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "spoilt.jsonl"

    sample = json.loads(line(settings={"threads": 2}, counters={"ddr_bytes": 7}, power_w=2.5))
    accepted, refused = drive(from_file(path, lambda: read_measurements([path])), mutated_json(sample, 3_000))
    assert accepted > 100
    assert refused > 1_000


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"activation": "relu"}, "measurement.layers.activation: must be one of identity"),
        ({"layer": "conv"}, "measurement.layers.layer: must be"),
        ({"mapping": {}}, "measurement.layers.mapping.tile_out_channels: must be given"),
    ],
)
def test_a_layer_that_ran_has_fields_of_the_declared_types(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        MeasuredLayer(**{"layer": LAYER, **changed})  # type: ignore[arg-type]
