import json
from importlib.resources import files

import pytest

from cost_models.coefficients import Coefficients, coefficient_names, load_coefficients
from hw_templates.errors import InvalidValueError


def prior() -> dict[str, object]:
    values: dict[str, object] = json.loads((files("cost_models") / "coefficients" / "prior.json").read_text())
    return values


def test_the_prior_says_what_it_is() -> None:
    coefficients = load_coefficients()
    assert coefficients.name == "prior"
    assert coefficients.board is None
    assert coefficients.measurements == 0
    assert "not fitted to any board" in coefficients.what
    assert "Horowitz" in coefficients.source


def test_every_set_of_the_package_loads() -> None:
    for name in coefficient_names():
        assert load_coefficients(name).name == name


def test_an_unknown_set() -> None:
    with pytest.raises(InvalidValueError, match="coefficients: must be one of prior, got 'posterior'"):
        load_coefficients("posterior")


@pytest.mark.parametrize(
    ("group", "name", "value", "message"),
    [
        ("latency", "slot_overhead_cycles", -1, "coefficients.latency.slot_overhead_cycles: must be a number, zero"),
        ("energy", "mac_pj", "much", "coefficients.energy.mac_pj: must be a number, zero or more, got 'much'"),
        ("latency", "ddr_efficiency", 1.5, "coefficients.latency.ddr_efficiency: must be above 0 and at most 1"),
        ("latency", "magic", 1, "coefficients.latency.magic: must be a known field, got 1"),
    ],
)
def test_bad_values_are_named(group: str, name: str, value: object, message: str) -> None:
    values = prior()
    with pytest.raises(InvalidValueError) as raised:
        Coefficients.from_dict({**values, group: {**values[group], name: value}})  # type: ignore[dict-item]
    assert str(raised.value).startswith(message)


def test_a_missing_group_is_named() -> None:
    values = prior()
    del values["energy"]
    with pytest.raises(InvalidValueError, match=r"coefficients\.energy: must be given, got None"):
        Coefficients.from_dict(values)
