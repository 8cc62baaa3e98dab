import numpy as np
import pytest

from cost_models.calibration.estimation import estimate
from cost_models.calibration.planning import plan
from cost_models.calibration.posterior import prior_of
from cost_models.calibration.structural import Demand, Term, structural_model
from cost_models.calibration.timing_model import Parameter
from cost_models.measurements.measurement import EngineRun, Measurement, Percentiles
from hw_templates.foundation.errors import InvalidValueError

MODEL = structural_model(
    "toy",
    (
        Term("mac", "", 1.0, 1.0, 0.5, "alone", "compute"),
        Term("byte", "", 1.0, 1.0, 0.5, "alone", "memory"),
    ),
    demands=lambda run: [Demand({"mac": run.counters["macs"], "byte": run.counters["bytes"]})],
    roofline=lambda run: 0.0,
    unhidden=Parameter("unhidden", "", 0.1, 0.5, 0.1),
)


def candidate(macs: float, moved: float, campaign: str = "") -> EngineRun:
    counters = {"macs": macs, "bytes": moved}
    return EngineRun(engine="toy", board="pynq-z2", clock_mhz=100.0, network="n", counters=counters, campaign=campaign)


def measured(run: EngineRun, latency_ms: float) -> Measurement:
    return Measurement(**vars(run), source="s", latency_ms=Percentiles(latency_ms))


def test_runs_that_tell_coefficients_apart_are_chosen_first() -> None:
    mixed = [candidate(100, 100 + i) for i in range(6)]
    pure = [candidate(200, 0), candidate(0, 200)]
    chosen = plan(MODEL, [*mixed, *pure], prior_of(MODEL), 2)
    assert set(chosen.chosen) == {6, 7}


def test_no_run_is_chosen_twice_and_uncertainty_never_grows() -> None:
    rng = np.random.default_rng(0)
    candidates = [candidate(*rng.uniform(1, 1000, 2)) for _ in range(12)]
    result = plan(MODEL, candidates, prior_of(MODEL), 12)
    assert sorted(result.chosen) == list(range(12))
    assert all(after <= before for before, after in zip(result.deviations, result.deviations[1:], strict=False))
    assert plan(MODEL, candidates, prior_of(MODEL), 12) == result


def test_measured_times_make_no_difference() -> None:
    rng = np.random.default_rng(1)
    candidates = [candidate(*rng.uniform(1, 1000, 2), campaign="c") for _ in range(12)]
    known = estimate(MODEL, [measured(run, 1.0) for run in candidates[:5]])
    timed = [measured(run, float(rng.uniform(1, 9))) for run in candidates]
    assert plan(MODEL, candidates, known, 4) == plan(MODEL, timed, known, 4)


def test_a_budget_beyond_the_candidates() -> None:
    with pytest.raises(InvalidValueError, match=r"plan\.budget: must be 1 to 1, the number of candidates, got 2"):
        plan(MODEL, [candidate(1, 1)], prior_of(MODEL), 2)
