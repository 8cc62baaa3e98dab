import hashlib
import json
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path

import pytest
from support.mutations import drive, from_file, mutated_json

from cost_models.closed_form.estimate import price
from cost_models.coefficients import (
    COEFFICIENTS,
    FOLDER,
    Coefficients,
    load_coefficients,
    write_coefficients,
)
from cost_models.workload import Layer, Node, Operation, Workload
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import ExtrapolationWarning, InvalidValueError, StorageError
from hw_templates.foundation.json_records import check_record, record_line


def prior() -> dict[str, object]:
    values: dict[str, object] = json.loads((files("cost_models") / "coefficients" / "hls/prior.json").read_text())
    return values


def test_the_prior_says_what_it_is() -> None:
    coefficients = load_coefficients()
    assert coefficients.name == "prior"
    assert coefficients.board is None
    assert coefficients.measurements == 0
    assert "not fitted to any board" in coefficients.what
    assert "Horowitz" in coefficients.source


def test_every_set_of_the_package_loads() -> None:
    for implementation in Implementation:
        names = [path.stem for path in (FOLDER / implementation).glob("*.json")]
        assert "prior" in names
        for name in names:
            loaded = load_coefficients(name, implementation)
            assert (loaded.name, loaded.implementation) == (name, implementation)


def test_an_unknown_set() -> None:
    with pytest.raises(
        InvalidValueError, match=r"coefficients: must be one of prior, or a folder that holds coefficients\.json"
    ):
        load_coefficients("posterior")


@pytest.mark.parametrize(
    ("group", "name", "value", "message"),
    [
        ("latency", "slot_overhead_cycles", -1, "coefficients.latency.slot_overhead_cycles: must be a number, zero"),
        ("energy", "mac_pj", "much", "coefficients.energy.mac_pj: must be a number, got 'much'"),
        ("latency", "ddr_efficiency", 1.5, "coefficients.latency.ddr_efficiency: must be above 0 and at most 1"),
        ("latency", "magic", 1, "coefficients.latency.magic: must be a known field, got 1"),
    ],
)
def test_bad_values_are_named(group: str, name: str, value: object, message: str) -> None:
    values = prior()
    with pytest.raises(InvalidValueError) as raised:
        check_record({**values, group: {**values[group], name: value}}, Coefficients, "coefficients")  # type: ignore[dict-item]
    assert str(raised.value).startswith(message)


def test_a_missing_group_is_named() -> None:
    values = prior()
    del values["energy"]
    with pytest.raises(InvalidValueError, match=r"coefficients\.energy: must be given, got None"):
        check_record(values, Coefficients, "coefficients")


FITTED = replace(
    load_coefficients(),
    name="fitted",
    board="pynq-z2",
    measurements=40,
    left_out_error=0.03,
    latency_factor=1.25,
    fitted_on={"layer.in_channels": (16.0, 64.0), "layer.operation": ("conv",)},
)


def test_a_written_set_is_read_by_the_name_of_its_folder(tmp_path: Path) -> None:
    write_coefficients(tmp_path / "mine", FITTED)
    assert load_coefficients(str(tmp_path / "mine")) == FITTED


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"name": "x"}'):
        (tmp_path / COEFFICIENTS).write_text(text)
        with pytest.raises((StorageError, InvalidValueError)):
            load_coefficients(str(tmp_path))


def test_a_set_of_another_implementation_is_refused(tmp_path: Path) -> None:
    write_coefficients(tmp_path / "cpp", FITTED)
    write_coefficients(tmp_path / "verilog", replace(FITTED, implementation=Implementation.RTL))
    assert load_coefficients(str(tmp_path / "verilog"), Implementation.RTL).name == "fitted"
    for own, other in ((Implementation.HLS, "verilog"), (Implementation.RTL, "cpp")):
        with pytest.raises(InvalidValueError, match=rf"coefficients\.implementation: must be {own}, which is priced"):
            load_coefficients(str(tmp_path / other), own)


def test_a_set_that_is_older_than_the_choice_is_of_the_cpp_and_keeps_its_digest() -> None:
    values = json.loads(record_line(FITTED))
    del values["implementation"], values["memory_latency_cycles"]
    older = check_record(values, Coefficients, "coefficients")
    assert older == FITTED
    values = {name: value for name, value in asdict(FITTED).items() if name in values}
    assert older.digest == hashlib.sha256(_sorted(values)).hexdigest()[:16]


def _sorted(values: dict[str, object]) -> bytes:
    return json.dumps(values, sort_keys=True).encode()


def test_a_set_of_another_board_is_refused() -> None:
    FITTED.check_use("pynq-z2")
    load_coefficients().check_use("zcu104")
    with pytest.raises(InvalidValueError, match=r"coefficients\.board: must be zcu104, the board that is priced, got"):
        FITTED.check_use("zcu104")


def test_use_beyond_what_it_was_fitted_on_warns() -> None:
    layer = Layer(operation=Operation.CONV, in_channels=128, out_channels=16, in_height=8, in_width=8)
    workload = Workload((Node(name="only", layer=layer, ifmap="image"),))
    accelerator = Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=1,
        pack=2,
        ifmap_kib=8,
        weight_kib=16,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
    )
    with pytest.warns(
        ExtrapolationWarning, match=r"coefficients fitted.*layer\.in_channels 128 is outside of 16 to 64"
    ):
        estimate = price(workload, accelerator, load_board("pynq-z2"), FITTED)
    assert estimate.latency_ms > 0


def test_only_what_was_compared_with_runs_has_an_interval() -> None:
    assert FITTED.latency_interval(10.0) == pytest.approx((8.0, 12.5))
    assert load_coefficients().latency_interval(10.0) is None


def test_any_spoilt_set_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    fitted = {"clock_mhz": (100.0, 150.0), "board": ("pynq-z2",)}
    write_coefficients(tmp_path, replace(load_coefficients(), fitted_on=fitted, latency_factor=1.2))
    path = tmp_path / COEFFICIENTS

    def read() -> None:
        coefficients = load_coefficients(str(tmp_path))
        coefficients.latency_interval(1.0)
        coefficients.check_use("pynq-z2")

    accepted, refused = drive(from_file(path, read), mutated_json(json.loads(path.read_text()), 3_000))
    assert accepted > 20
    assert refused > 1_000


def test_a_group_that_is_a_number_is_named() -> None:
    with pytest.raises(InvalidValueError, match=r"coefficients\.latency: must be an object, got 1\.0"):
        check_record({**prior(), "latency": 1.0}, Coefficients, "coefficients")


def test_a_set_fitted_to_the_engine_before_is_refused_with_what_to_do(tmp_path: Path) -> None:
    write_coefficients(tmp_path, replace(load_coefficients(), name="fitted"))
    path = tmp_path / COEFFICIENTS
    path.write_text(path.read_text().replace('"format": 2', '"format": 1'))
    message = r"coefficients\.format: must be 2, which this version reads, got 1; measure the engine and fit again"
    with pytest.raises(StorageError, match=message):
        load_coefficients(str(tmp_path))
