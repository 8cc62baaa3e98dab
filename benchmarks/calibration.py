"""How well calibrated models of time predict boards' measurements that they were not fitted on.

Every figure is on left-out data: whatever is fitted, intervals included, is fitted without the rows that are scored.
The measurements are published tables of others' engines on PYNQ boards and an Ultra96-V2 (--data names their folder);
of the engine of this project there are none yet.

Leave-one-out: each row is predicted by a fit of all others. Few-shot: the coefficients of the other campaigns with 6 or
10 random runs of a new one; the rest of it is scored, and the median over 50 draws is told. Leave-one-stage-out: blocks
of one stage of the network are predicted by a fit of the other stages. Planned: 8 runs that `codesign calibrate plan`
chooses without looking at any time, against 8 random ones.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dataflow_designs import call_overhead_ms, read_dataflow_runs
from scipy.stats import spearmanr

from cost_models.calibration.engines import engine_model
from cost_models.calibration.estimation import estimate
from cost_models.calibration.fit import fit, group_parts
from cost_models.calibration.planning import plan
from cost_models.calibration.posterior import Posterior, predict
from cost_models.calibration.timing_model import TimingModel, measured_cycles
from cost_models.hls4ml.streams import stream_cycles
from cost_models.measurements.importers.ofa_dpu import read_ofa_dpu
from cost_models.measurements.importers.vta_tophub import read_vta_tophub
from cost_models.measurements.measurement import Measurement
from cost_models.workload import Operation
from hw_templates.foundation.arrays import FloatArray

NEAR = 0.1


@dataclass(frozen=True)
class Scored:
    """Left-out rows: signed errors as shares, and whether the interval held the measured time."""

    error: FloatArray
    inside: FloatArray
    predicted: FloatArray
    measured: FloatArray

    @classmethod
    def of(cls, model: TimingModel, fitted: Sequence[Measurement], left_out: Sequence[Measurement]) -> "Scored":
        """Score rows by a fit of others."""
        found, measured = fit(model, fitted), measured_cycles(left_out)
        new, known = found.left_out.widths, found.left_out_singly.widths
        groups = {run.group for run in fitted} - {None}
        width = np.array([(known if run.group in groups else new).of(run.campaign) for run in left_out])
        prediction = predict(model, left_out, found.posterior, width)
        inside = (prediction.low <= measured) & (measured <= prediction.high)
        return cls(prediction.cycles / measured - 1, inside.astype(float), prediction.cycles, measured)

    @classmethod
    def of_parts(cls, model: TimingModel, runs: Sequence[Measurement], parts: Sequence[list[int]]) -> "Scored":
        """Score each part by a fit of all others; rows in the order of ``runs``."""
        columns = np.empty((4, len(runs)))
        for part in parts:
            out = set(part)
            kept = [run for index, run in enumerate(runs) if index not in out]
            scored = cls.of(model, kept, [runs[index] for index in part])
            columns[:, part] = scored.error, scored.inside, scored.predicted, scored.measured
        return cls(*columns)

    def take(self, rows: Sequence[int]) -> "Scored":
        """Some of the rows."""
        return Scored(*(getattr(self, name)[rows] for name in ("error", "inside", "predicted", "measured")))

    @property
    def mean_error(self) -> float:
        """Mean absolute error as a share."""
        return float(np.abs(self.error).mean())


def figure(name: str, share: float) -> None:
    """One figure in percent."""
    print(f"figure {name} {100 * share:.2f} %", flush=True)


def rows_by_campaign(runs: Sequence[Measurement]) -> dict[str, list[int]]:
    """Short names of campaigns (PE array and month) to the indices of their runs."""
    campaigns: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        assert run.accelerator is not None
        array = f"{run.accelerator.pe_pixels}x{run.accelerator.pe_cols}x{run.accelerator.pe_rows}"
        campaigns.setdefault(f"{array}_{run.date[:7] if run.date else 'undated'}", []).append(index)
    return campaigns


def leave_one_out(model: TimingModel, runs: Sequence[Measurement]) -> None:
    """VTA, each row left out."""
    scored = Scored.of_parts(model, runs, [[index] for index in range(len(runs))])
    for name, rows in rows_by_campaign(runs).items():
        part = scored.take(rows)
        figure(f"vta_{name}_error", part.mean_error)
        print(f"figure vta_{name}_spearman {spearmanr(part.predicted, part.measured)[0]:.4f} -")
        figure(f"vta_{name}_coverage", float(part.inside.mean()))
    figure("vta_coverage", float(scored.inside.mean()))


def few_shot(model: TimingModel, runs: Sequence[Measurement], draws: int) -> None:
    """VTA, each campaign as a new one of which a few random runs are known."""
    rng = np.random.default_rng(0)
    for count in (6, 10):
        inside: list[FloatArray] = []
        for name, rows in rows_by_campaign(runs).items():
            if len(rows) <= count:
                continue
            others = [run for index, run in enumerate(runs) if index not in set(rows)]
            errors = []
            for _ in range(draws):
                known = set(rng.choice(rows, count, replace=False).tolist())
                scored = Scored.of(model, others + [runs[i] for i in known], [runs[i] for i in rows if i not in known])
                errors.append(scored.mean_error)
                inside.append(scored.inside)
            figure(f"vta_{name}_with_{count}_runs_error_median", float(np.median(errors)))
            figure(f"vta_{name}_with_{count}_runs_error_90th_percentile", float(np.quantile(errors, 0.9)))
        figure(f"vta_with_{count}_runs_coverage", float(np.concatenate(inside).mean()))


def planned_runs(model: TimingModel, runs: Sequence[Measurement], draws: int) -> None:
    """VTA, 8 planned runs of a new campaign against 8 random ones; errors on the runs that are left."""
    rng = np.random.default_rng(0)

    def error(posterior: Posterior, chosen: Sequence[Measurement]) -> float:
        prediction = predict(model, chosen, posterior, 0.0)
        return float(np.abs(prediction.cycles / measured_cycles(chosen) - 1).mean())

    for name, rows in rows_by_campaign(runs).items():
        others, own = [run for i, run in enumerate(runs) if i not in set(rows)], [runs[i] for i in rows]

        def left(chosen: Sequence[int], others: list[Measurement] = others, own: list[Measurement] = own) -> float:
            rest = [run for index, run in enumerate(own) if index not in set(chosen)]
            return error(estimate(model, others + [own[index] for index in chosen]), rest)

        random = [left(rng.choice(len(own), 8, replace=False).tolist()) for _ in range(draws)]
        figure(f"vta_{name}_8_planned_error", left(plan(model, own, estimate(model, others), 8).chosen))
        figure(f"vta_{name}_8_random_error_median", float(np.median(random)))


def kernel(run: Measurement) -> int:
    """Side of a block's depthwise kernel; 0 where it has none."""
    return max((r.layer.kernel_height for r in run.layers if r.layer.operation == Operation.DEPTHWISE), default=0)


def dpu_blocks(model: TimingModel, runs: Sequence[Measurement]) -> None:
    """Once-for-all blocks on the DPU: a stage left out, a kernel size left out, single layers left out."""
    blocks = [run for run in runs if kernel(run)]
    small = [run for run in blocks if kernel(run) == 3]
    for name, scored in (
        ("left_out_stage", Scored.of_parts(model, blocks, group_parts(blocks))),
        ("kernel_3_to_5", Scored.of(model, small, [run for run in blocks if kernel(run) == 5])),
    ):
        figure(f"dpu_{name}_error", scored.mean_error)
        figure(f"dpu_{name}_within_10_percent", float((np.abs(scored.error) <= NEAR).mean()))
        figure(f"dpu_{name}_coverage", float(scored.inside.mean()))
    singles = Scored.of(model, blocks, [run for run in runs if not kernel(run)])
    figure("dpu_blocks_to_single_layers_error", singles.mean_error)


def dataflow_designs(folder: Path) -> None:
    """Designs of hls4ml from reuse factors and clock, with the time of a call from the other designs."""
    runs = read_dataflow_runs(folder)
    measured = np.array([run.measurement.latency_ms.p50 for run in runs])
    predicted = np.array([stream_cycles(run.layers) / (run.measurement.clock_mhz * 1e3) for run in runs])
    errors = []
    for index, run in enumerate(runs):
        others, network = np.arange(len(runs)) != index, str(run.measurement.network)
        left_out = float(predicted[index] + call_overhead_ms(predicted[others], measured[others]))
        errors.append(left_out / measured[index] - 1)
        figure(f"hls4ml_{network.lower()}_error", errors[-1])
    figure("hls4ml_error", float(np.abs(errors).mean()))
    constant = call_overhead_ms(predicted, measured)
    print(f"figure hls4ml_call_overhead {1e3 * constant:.2f} us")
    figure("hls4ml_error_of_the_fit_itself", float(np.abs((predicted + constant) / measured - 1).mean()))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--draws", type=int, default=50)
    arguments = parser.parse_args()
    vta = read_vta_tophub(arguments.data / "vta_tophub" / "vta_tophub_conv.csv")
    leave_one_out(engine_model("vta"), vta)
    few_shot(engine_model("vta"), vta, arguments.draws)
    planned_runs(engine_model("vta"), vta, arguments.draws)
    dpu = read_ofa_dpu(arguments.data / "ofa_dpu_ultra96" / "ofa_mbv3_blocks_dpu_b2304_ultra96.csv")
    dpu_blocks(engine_model("dpu"), dpu)
    dataflow_designs(arguments.data / "mlperf_tiny")


if __name__ == "__main__":
    main()
