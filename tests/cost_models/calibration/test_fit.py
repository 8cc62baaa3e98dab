from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from cost_models.calibration.estimation import estimate
from cost_models.calibration.fit import Fit, dealt, fit, group_parts, leave_out
from cost_models.calibration.posterior import Prediction, predict, prior_of
from cost_models.calibration.structural import Demand, Term, structural_model
from cost_models.calibration.timing_model import Parameter, measured_cycles
from cost_models.measurements.measurement import Measurement, Percentiles
from hw_templates.foundation.errors import InvalidValueError

CLOCK_MHZ = 100.0
TRUTH = {"mac": 1.0, "byte": 0.4, "start": 900.0}


def demands(run: Measurement) -> list[Demand]:
    counts = {"mac": run.counters["macs"], "byte": run.counters["bytes"], "start": 1.0}
    return [Demand(counts, steps=4.0)]


TERMS = (
    Term("mac", "", 1.5, 0.7, 0.1, "step", "compute"),
    Term("byte", "", 0.2, 1.0, 0.5, "load", "memory"),
    Term("start", "", 500.0, 1.0, 0.5, "alone", "overhead"),
)
UNHIDDEN = Parameter("unhidden", "", 0.1, 0.7, 0.2)
TOY = structural_model("toy", TERMS, demands, lambda run: 0.0, UNHIDDEN)


@dataclass(frozen=True)
class Campaign:
    name: str
    runs: int
    byte: float = TRUTH["byte"]
    noise: float = 0.02


def measure(campaigns: Sequence[Campaign], seed: int = 0, groups: int = 0) -> list[Measurement]:
    rng = np.random.default_rng(seed)
    runs = []
    for campaign in campaigns:
        truth = np.log([TRUTH["mac"], campaign.byte, TRUTH["start"], 0.1])
        for index in range(campaign.runs):
            counters = {"macs": float(10 ** rng.uniform(3, 5)), "bytes": float(10 ** rng.uniform(3, 5))}
            group = f"group {index % groups}" if groups else None
            run = Measurement(
                engine="toy",
                board="pynq-z2",
                campaign=campaign.name,
                source="s",
                clock_mhz=CLOCK_MHZ,
                latency_ms=Percentiles(1.0),
                network="n",
                counters=counters,
                group=group,
            )
            cycles = TOY.bind([run]).cycles(truth[None])[0] * np.exp(rng.normal(0, campaign.noise))
            runs.append(with_cycles(run, float(cycles)))
    return runs


def with_cycles(run: Measurement, cycles: float) -> Measurement:
    return replace(run, latency_ms=Percentiles(cycles / (CLOCK_MHZ * 1e3)))


def predicted_by(result: Fit, runs: Sequence[Measurement]) -> Prediction:
    """What a fit predicts of runs of no group."""
    width = np.array([result.left_out.widths.of(run.campaign) for run in runs])
    return predict(result.model, runs, result.posterior, width)


def test_coefficients_are_recovered_within_their_deviations() -> None:
    posterior = estimate(TOY, measure([Campaign("a", 40)]))
    values, covariance = posterior.theta(["a"])[0], posterior.uncertainty("a")
    for index, name in enumerate(TRUTH):
        deviation = float(np.sqrt(covariance[index, index]))
        assert abs(values[index] - np.log(TRUTH[name])) < 3 * deviation
        assert deviation < 0.1
    assert 0.01 <= posterior.deviation("a") < 0.03


def test_outliers_count_little() -> None:
    clean = measure([Campaign("a", 40)])
    spoilt = [with_cycles(run, 3 * c) if i % 10 == 0 else run for i, (run, c) in
              enumerate(zip(clean, measured_cycles(clean), strict=True))]  # fmt: skip
    a, b = (np.exp(estimate(TOY, runs).theta(["a"])[0]) for runs in (clean, spoilt))
    assert b[:2] == pytest.approx(a[:2], rel=0.05)


def test_a_new_campaign_learns_from_the_others_and_from_its_few_runs() -> None:
    known = measure([Campaign("a", 20), Campaign("b", 20, byte=0.5)])
    errors = []
    for seed in range(1, 9):
        fresh = measure([Campaign("c", 23, byte=0.9, noise=0.05)], seed)
        few, rest = fresh[:3], fresh[3:]
        truth = measured_cycles(rest)
        posteriors = [estimate(TOY, runs) for runs in (known + few, few, known)]
        predicted = [TOY.bind(rest).cycles(posterior.theta(["c"] * len(rest))) for posterior in posteriors]
        errors.append([np.mean(np.abs(cycles / truth - 1)) for cycles in predicted])
    both, alone, others = np.mean(errors, axis=0)
    assert both < 0.08
    assert both < alone
    assert both < others


def test_intervals_cover_nine_in_ten() -> None:
    covered = []
    for seed in range(6):
        runs = measure([Campaign("a", 25), Campaign("b", 25, noise=0.08)], seed)
        new = measure([Campaign("a", 100), Campaign("b", 100, noise=0.08)], seed + 100)
        prediction, truth = predicted_by(fit(TOY, runs), new), measured_cycles(new)
        covered.append(np.mean((prediction.low <= truth) & (truth <= prediction.high)))
    assert 0.85 <= np.mean(covered) <= 0.96


def test_an_unknown_campaign_is_less_certain() -> None:
    runs = measure([Campaign("a", 20), Campaign("b", 20)])
    result = fit(TOY, runs)
    known = predicted_by(result, runs[:1])
    unknown = predicted_by(result, [replace(runs[0], campaign="new")])
    assert unknown.high[0] / unknown.low[0] > known.high[0] / known.low[0]


def test_what_is_left_out_is_not_looked_at() -> None:
    runs = measure([Campaign("a", 12), Campaign("b", 12)])
    changed = [with_cycles(runs[0], 1e7), *runs[1:]]
    alone = [[index] for index in range(len(runs))]
    before, after = (leave_out(TOY, measured, alone, prior_of(TOY)) for measured in (runs, changed))
    assert after.predicted[0] == before.predicted[0]
    assert after.error[0] == pytest.approx(before.predicted[0] / 1e7 - 1)


def test_groups_are_left_out_together() -> None:
    runs = measure([Campaign("a", 20)], groups=5)
    parts = group_parts(runs)
    assert sorted(map(len, parts)) == [4] * 5
    for part in parts:
        assert len({runs[index].group for index in part}) == 1
    assert group_parts(measure([Campaign("a", 20)])) == []
    assert sorted(index for part in dealt([[index] for index in range(20)]) for index in part) == list(range(20))
    known = fit(TOY, runs)
    assert known.left_out_singly is not known.left_out


def test_a_fit_tells_how_far_it_is() -> None:
    for groups in (0, 4):
        told: list[float] = []
        fit(TOY, measure([Campaign("a", 12)], groups=groups), told.append)
        assert told == sorted(told)
        assert told[-1] == pytest.approx(1.0)


def test_too_few_runs_or_runs_of_another_engine() -> None:
    runs = measure([Campaign("a", 3)])
    with pytest.raises(InvalidValueError, match="measurements: must be at least 3 runs of toy to fit, got 1"):
        fit(TOY, runs[:1])
    with pytest.raises(InvalidValueError, match=r"measurement\.engine: must be toy like that of the other runs"):
        fit(TOY, [*runs, replace(runs[0], engine="vta")])


def test_a_run_that_is_faster_than_its_engine_can_be_is_refused() -> None:
    runs = measure([Campaign("a", 12)])
    bounded = structural_model("toy", TERMS, demands, lambda run: 0.5 * run.counters["macs"], UNHIDDEN)
    fit(bounded, runs)
    fast = with_cycles(runs[3], 0.49 * runs[3].counters["macs"])
    with pytest.raises(InvalidValueError, match=r"measurements\[3\]\.latency_ms\.p50: must be at least .* of toy at"):
        fit(bounded, [*runs[:3], fast, *runs[4:]])
    assert TOY.least_cycles(runs).tolist() == [0.0] * 12
