from typing import get_args

import numpy as np
import pytest

from cost_models.calibration.structural import Demand, Role, Term, structural_model
from cost_models.calibration.timing_model import Parameter, TimingModel, measured_cycles, sensitivity
from cost_models.measurements.measurement import Measurement, Percentiles

ROLES: tuple[Role, ...] = get_args(Role)
TERMS = tuple(Term(role, role, 1.0, 1.0, 0.1, role, f"{role} time") for role in ROLES)
UNHIDDEN = Parameter("unhidden", "", 0.1, 1.0, 0.1)


def model_of(*demands: Demand) -> TimingModel:
    return structural_model("toy", TERMS, lambda run: demands, lambda run: 0.0, UNHIDDEN)


def run(latency_ms: float = 1.0) -> Measurement:
    return Measurement(
        engine="toy",
        board="pynq-z2",
        campaign="c",
        source="s",
        clock_mhz=100.0,
        latency_ms=Percentiles(latency_ms),
        network="n",
    )


def theta(**values: float) -> np.ndarray:
    return np.log([values.get(term.name, 1.0) for term in TERMS] + [values.get("unhidden", 1e-9)])


def test_what_overlaps_takes_as_long_as_the_longer() -> None:
    # Four steps of 10, of which three hide loads of 8; the first load hides behind 5 of the tile, less what is over.
    demand = Demand({"step": 40.0, "load": 32.0, "tile": 5.0, "alone": 7.0}, steps=4.0)
    bound = model_of(demand).bind([run()])
    assert bound.cycles(theta()[None]) == pytest.approx([7 + 10 + 30 + 8])
    assert bound.cycles(theta(load=2.0)[None]) == pytest.approx([7 + 10 + 3 * 16 + 16])


def test_an_engine_that_hides_nothing_adds_up() -> None:
    demand = Demand({"step": 40.0, "load": 32.0, "tile": 5.0, "alone": 7.0}, steps=4.0, hides=False)
    assert model_of(demand).bind([run()]).cycles(theta()[None]) == pytest.approx([84.0])
    shown = Demand({"step": 40.0, "load": 32.0}, steps=4.0)
    assert model_of(shown).bind([run()]).cycles(theta(unhidden=1.0)[None]) == pytest.approx([72.0])
    assert model_of(shown).bind([run()]).cycles(theta(unhidden=9.0)[None]) == pytest.approx([72.0])


def test_layers_of_a_run_add_up_and_runs_keep_their_own_coefficients() -> None:
    layers = (Demand({"step": 10.0}), Demand({"alone": 3.0}))
    bound = model_of(*layers).bind([run(), run()])
    assert bound.cycles(np.stack([theta(), theta(step=2.0)])) == pytest.approx([13.0, 23.0])


def test_parts_add_up_to_the_cycles() -> None:
    rng = np.random.default_rng(0)
    demands = [
        Demand({role: float(rng.integers(0, 50)) for role in ROLES}, float(rng.integers(1, 9))) for _ in range(20)
    ]
    bound = model_of(*demands).bind([run(), run()])
    values = np.tile(theta(unhidden=0.3), (2, 1))
    parts = bound.parts(values)
    assert set(parts) == {"step time", "load time", "tile time", "alone time"}
    assert sum(parts.values()) == pytest.approx(bound.cycles(values))


def test_sensitivities_are_shares_of_the_time() -> None:
    bound = model_of(Demand({"step": 30.0, "alone": 10.0})).bind([run()])
    assert sensitivity(bound, theta()[None])[0] == pytest.approx([0.75, 0, 0, 0.25, 0], abs=1e-4)


def test_cycles_follow_from_latency_and_clock() -> None:
    assert measured_cycles([run(2.0)]) == pytest.approx([200_000])
