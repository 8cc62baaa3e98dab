"""A campaign on a twin whose timing is not the prior's, and what a fit to it finds. Twin (simulated): no board has run.

The twin's timing parameters are drawn at random around the prior and hidden from all but the twin. Runs are planned,
measured through PYNQ's real client, and fitted; then layers that were left out of the fit are predicted, the parameters
are compared with the true ones, and the joint front of a finished run is ranked anew. The twin is timed by the
event-driven simulator, which shares no formula with the closed form that is fitted. Where ports compete for the DDR it
is slower than the closed form, so that `ddr_efficiency` may come out lower than it is, beyond its interval.

    python benchmarks/board_calibration.py --run runs/demo
"""

import argparse
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from bitstreams.board.target import parse_target
from bitstreams.twin.board import TwinBoard
from bitstreams.twin.server import LOOPBACK, TwinServer
from codesign.commands.calibration.fit import fit_measurements, write_fit
from codesign.commands.calibration.measure import CampaignRequest, measure_plan
from codesign.commands.calibration.plan import plan_runs
from codesign.commands.pairs import found_pairs
from codesign.progress import Silent
from codesign.run.folder import Run, read_json
from codesign.run.searched import load_searched
from codesign.search.joint_search import joint_search
from codesign.search.pareto import nondominated
from codesign.search.study import StudyLocation, fitting_front
from codesign.templates.engine.pricing import PairPricer
from codesign.templates.engine.problem import EngineProblem
from cost_models.calibration.engines import engine_model
from cost_models.calibration.posterior import prior_of
from cost_models.calibration.record import load_calibration
from cost_models.calibration.timing_model import measured_cycles
from cost_models.coefficients import Coefficients, load_coefficients
from cost_models.measurements.measurement import OWN_ENGINES, read_measurements, write_plan
from hw_templates.board import load_board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

SPREAD = 0.5
"""Standard deviation of the logarithm of the hidden parameters around the prior's."""
_REACH = 1.645
"""Standard deviations of an interval that holds nine in ten."""


def figure(seed: int, name: str, value: float, unit: str) -> None:
    """Print one figure of the twin of that seed."""
    print(f"figure seed{seed}_{name} {value:.4g} {unit}", flush=True)


def hidden(seed: int) -> Coefficients:
    """The twin's true coefficients."""
    rng, prior = np.random.default_rng(seed), load_coefficients()
    values = {name: value * float(np.exp(rng.normal(0, SPREAD))) for name, value in asdict(prior.latency).items()}
    values["ddr_efficiency"] = float(rng.uniform(0.6, 0.95))
    return replace(prior, name="hidden", latency=replace(prior.latency, **values))


def campaign(run: Run, true: Coefficients, budget: int, folder: Path) -> None:
    """Plan, measure and fit; leaves board.jsonl and the folder ``fitted``."""
    record = read_json(run.project / PROJECT_FILE, ProjectRecord)
    planned = plan_runs(load_board(record.board), budget, Silent(), accelerator=record.accelerator)
    write_plan(folder / "plan.json", planned.plan)
    server = TwinServer(TwinBoard(run.project, true), port=0)
    try:
        target = parse_target(f"{record.board}@{LOOPBACK}:{server.port}", "twin", insecure_remote=False)
        measure_plan(
            CampaignRequest(target=target, plan=folder / "plan.json", project=run.project, out=folder / "board.jsonl"),
            Silent(),
            tell=lambda _: None,
        )
    finally:
        server.close()
    write_fit(folder / "fitted", fit_measurements(read_measurements([folder / "board.jsonl"]), "fitted", Silent()))


def compare_parameters(seed: int, true: Coefficients, folder: Path) -> None:
    """Errors before and after, and every parameter with its interval beside the true one."""
    runs, model = read_measurements([folder / "board.jsonl"]), engine_model(OWN_ENGINES[Implementation.HLS])
    before = model.bind(runs).cycles(np.tile(prior_of(model).shared, (len(runs), 1)))
    calibration = load_calibration(str(folder / "fitted"))
    figure(seed, "runs", len(runs), "1")
    figure(seed, "prior_error", 100 * float(np.abs(before / measured_cycles(runs) - 1).mean()), "%")
    figure(seed, "calibrated_error_of_left_out_layers", 100 * calibration.quality.mean_error, "%")
    (name,) = calibration.posterior.campaigns
    theta = calibration.posterior.theta([name])[0]
    deviations = np.sqrt(np.diag(calibration.posterior.uncertainty(name)))
    for parameter, fitted, deviation in zip(model.parameters, theta, deviations, strict=True):
        actual = getattr(true.latency, parameter.name)
        figure(seed, f"{parameter.name}_true", actual, "1")
        figure(seed, f"{parameter.name}_fitted", float(np.exp(fitted)), "1")
        figure(seed, f"{parameter.name}_low", float(np.exp(fitted - _REACH * deviation)), "1")
        figure(seed, f"{parameter.name}_high", float(np.exp(fitted + _REACH * deviation)), "1")


def compare_fronts(seed: int, run: Run, folder: Path) -> None:
    """Pairs that a search with the prior or with what was fitted finds, ranked with either."""
    searched, fitted = load_searched(run), load_coefficients(str(folder / "fitted"))
    before = fitting_front(searched.problem, found_pairs(searched)[0])
    location = StudyLocation(str(folder / "study.journal"), "calibrated")
    after = joint_search(
        replace(searched.task, location=location, problem=EngineProblem(searched.problem.joint, fitted))
    ).front
    rows, count = np.unique(np.vstack([before.rows, after.rows]), axis=0), searched.problem.joint.gene_count
    accuracy = searched.task.oracle.accuracy(rows[:, :count])
    latencies, fronts = [], []
    for coefficients in (load_coefficients(), fitted):
        pricer = PairPricer(searched.problem.joint, coefficients)
        priced = [pricer.price(row[None, :count], row[None, count:]) for row in rows]
        values = np.array([(latency[0, 0], energy[0, 0]) for latency, energy in priced])
        latencies.append(values[:, 0])
        fronts.append(nondominated(np.column_stack([accuracy, values])))
    figure(seed, "front_pairs_prior", int(fronts[0].sum()), "1")
    figure(seed, "front_pairs_calibrated", int(fronts[1].sum()), "1")
    figure(seed, "front_pairs_that_enter", int((fronts[1] & ~fronts[0]).sum()), "1")
    figure(seed, "front_pairs_that_leave", int((fronts[0] & ~fronts[1]).sum()), "1")
    figure(seed, "front_latency_kendall_tau", float(kendalltau(*latencies).statistic), "1")
    ratio = latencies[1] / latencies[0]
    for name, value in (("least", ratio.min()), ("median", np.median(ratio)), ("most", ratio.max())):
        figure(seed, f"calibrated_over_prior_latency_{name}", float(value), "1")


def main() -> None:
    """Print every figure."""
    options = argparse.ArgumentParser(description="What a calibration on a twin with hidden timing finds.")
    options.add_argument("--run", type=Path, required=True, help="folder of a finished run of `codesign demo`")
    options.add_argument("--budget", type=int, default=60)
    options.add_argument("--seeds", type=int, default=3, help="twins, each with a timing of its own")
    asked = options.parse_args()
    print("twin (simulated): nothing here was measured on a board", flush=True)
    for seed in range(asked.seeds):
        true = hidden(seed)
        with tempfile.TemporaryDirectory() as folder:
            campaign(Run(asked.run), true, asked.budget, Path(folder))
            compare_parameters(seed, true, Path(folder))
            compare_fronts(seed, Run(asked.run), Path(folder))


if __name__ == "__main__":
    main()
