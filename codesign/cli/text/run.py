"""Text about the commands of a run, from its training to its report."""

from collections.abc import Iterator, Sequence

from codesign.commands.check import CheckResult
from codesign.commands.pairs import CsimResult, EmitResult, WinnerResult
from codesign.commands.report import ReportResult
from codesign.commands.search import SearchResult
from codesign.commands.training import PredictorResult, Spread, TrainResult
from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.records import Outcome

_SHOWN = 3


def train_lines(result: TrainResult) -> Iterator[str]:
    """Yield what was trained, and the accuracies of its ends."""
    yield f"train      {result.space}: {result.subnets:.2g} subnets, {result.steps} steps"
    ends = f"{result.largest_accuracy:.1%}"
    if result.subnets > 1:
        ends = f"largest subnet {ends}, smallest {result.smallest_accuracy:.1%}"
    yield f"           validation accuracy: {ends}"


def predictor_lines(result: PredictorResult) -> Iterator[str]:
    """Yield what was measured, and how well left-out subnets are predicted."""
    accuracies = f"{result.lowest_accuracy:.1%} to {result.highest_accuracy:.1%}"
    yield f"predictor  {result.samples} subnets measured: {accuracies}"
    yield f"           left-out subnets, mean (95 % interval) of {result.splits} splits:"
    ranks = f"Kendall tau {_spread(result.kendall_tau)}, Spearman {_spread(result.spearman)}"
    yield f"           {ranks}, RMSE {_spread(result.rmse, 100)} points"


def search_lines(result: SearchResult) -> Iterator[str]:
    """Say what was priced, and how good the fronts are."""
    done, with_template = result.progress, _with(result.template)
    priced = f"{done.pairs:,} pairs" + (f" on {done.accelerators:,} accelerators" if done.candidates else "")
    mappings = f" ({done.candidates:,} mappings)" if done.candidates else ""
    yield f"search     {priced} priced for {result.board}{mappings}{with_template}, {len(result.front)} on the front"
    if result.losses:
        losses = ", ".join(f"{what} cost {loss:.2%}" for what, loss in result.losses.items())
        yield f"           accuracy: {losses}, measured"
    yield from _skipped(result.skipped)
    volumes = ", ".join(f"{name} {volume:.4f}" for name, volume in result.hypervolumes.items())
    yield f"           hypervolume: {volumes}"


def winner_lines(result: WinnerResult) -> Iterator[str]:
    """Describe the winning pair."""
    record = result.winner
    yield from _pair_lines("winner     ", result)
    used = ", ".join(f"{need:,} of {result.available[name]:,} {name}" for name, need in record.resources.items())
    yield f"           accuracy: {record.accuracy:.2%} ({record.accuracy_source}); resources: {used}"
    if result.file is not None:
        yield f"           {result.file}"


def emit_lines(result: EmitResult) -> Iterator[str]:
    """Describe the winning pair and its project."""
    project = result.project
    yield from _pair_lines("emit       winner: ", result.winner)
    yield f"           test accuracy: float32 {project.float32:.2%}, {project.precision} {project.quantised:.2%}"
    for note in project.notes:
        yield f"           {note}"
    yield f"           {result.folder}"


def csim_lines(result: CsimResult) -> Iterator[str]:
    """Say how the project compares with the reference."""
    record = result.record
    if record.tolerance:
        yield (
            f"csim       {record.images} test images{_with(result.template)}: {record.same_class:.1%} of equal class, "
            f"largest difference of a logit {record.largest_difference:g} (half a step: {record.tolerance:g})"
        )
    else:
        sanitized = ", sanitizers silent" if record.sanitized else ""
        yield f"csim       {record.images} test images: logits equal the integer reference bit for bit{sanitized}"
    if record.layers:
        cycles = f"{sum(layer.compute_trips for layer in record.layers):,} iterations of the compute loop"
        stated = "cost model" if record.cycles is None else "emitter"
        yield f"           {len(record.layers)} layers: {cycles}, as the {stated} states"
    if record.cycles is not None:
        yield (
            f"           {record.cycles:,} cycles an image, simulated clock by clock "
            f"({record.cycles_per_second:,.0f} cycles a second)"
        )


def check_lines(result: CheckResult) -> Iterator[str]:
    """Yield how each check ended, and what it found."""
    for index, each in enumerate(result.checks):
        outcome = "" if each.outcome == Outcome.PASSED else f"{each.outcome}: "
        yield f"{'' if index else 'check':<11}{each.name}: {outcome}{each.text}"


def report_lines(result: ReportResult) -> Iterator[str]:
    """Say where the page is."""
    yield f"report     {result.page}"


def _spread(spread: Spread, factor: float = 1) -> str:
    return f"{factor * spread.mean:.2f} ({factor * spread.low:.2f} to {factor * spread.high:.2f})"


def _with(template: str) -> str:
    return "" if template == DEFAULT_TEMPLATE else f" with template {template}"


def _pair_lines(title: str, result: WinnerResult) -> Iterator[str]:
    """Name the rule by which a winner was chosen, the accuracies that it was chosen by, and the pair."""
    record, interval = result.winner, result.latency_interval_ms
    predicted, accuracies = record.predicted, "measured" if record.accuracy_source == "measured" else "predicted"
    sure = (
        "prior coefficients: no interval" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f} in 9 of 10"
    )
    yield from _skipped(result.skipped)
    yield f"{title}{record.rule} ({accuracies} accuracies)"
    yield f"           subnet: resolution {result.resolution}, depths {result.depths}, {result.macs:,} MACs"
    yield f"           accelerator: {result.accelerator}"
    yield f"           predicted: {predicted.latency_ms:.4f} ms ({sure}) and {predicted.energy_mj:.4f} mJ an image"


def _skipped(skipped: Sequence[str]) -> Iterator[str]:
    """Name the trials that were left out; the first few of many."""
    for text in skipped[:_SHOWN]:
        yield f"           left out: {text}"
    if len(skipped) > _SHOWN:
        yield f"           left out: {len(skipped) - _SHOWN:,} trials more"
