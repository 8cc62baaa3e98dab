"""``codesign winner``: the winning pair of a search as it stands; nothing is measured for it."""

from contextlib import nullcontext

from codesign.progress import Progress
from codesign.run.choice import choose
from codesign.run.folder import Run
from codesign.run.records import PredictedCost, WinnerRecord
from codesign.run.requests import find_weights, load_searched
from codesign.search.joint_space import Pair
from codesign.search.winner import Compared, Rule, rule_of
from codesign.supernet.lowering.workloads import lower
from cost_models.closed_form.estimate import Estimate, price
from cost_models.coefficients import Coefficients
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.foundation.json_records import write_record


def winner(
    run: Run,
    max_latency_ms: float | None,
    min_accuracy: float | None,
    progress: Progress,
    *,
    within: float | None = None,
    rule: str | None = None,
    dry_run: bool = False,
) -> None:
    """Choose the winner of the search as it stands, say and record what it is; the options are those of ``rule_of``.

    Accuracies are measured ones where all compared pairs have them from before, else those that were searched with.

    With ``dry_run`` it is only said: nothing is written, and another process may be at work in the run.

    Raises:
        InvalidValueError: two options name different rules, or one is out of range.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: nothing was searched yet, or something cannot be read or written.
    """
    chosen_by = rule_of(max_latency_ms, min_accuracy, within, rule)
    # A run that is not there yet is for the reader of its search to complain about.
    with nullcontext() if dry_run or not run.folder.is_dir() else run.claim():
        _winner(run, chosen_by, dry_run, progress)


def _winner(run: Run, rule: Rule, dry_run: bool, progress: Progress) -> None:
    searched = load_searched(run)
    trained = find_weights(run, searched)
    chosen, compared = choose(run, searched, trained, rule, False, progress)
    pair, board, source = chosen.pair, searched.board, compared.source
    workload = lower(searched.joint.space if trained is None else trained.space, pair.subnet)
    needs = estimate_resources(pair.accelerator, board)
    record = WinnerRecord(
        study=searched.task.location.name,
        rule=chosen.rule,
        space=searched.joint.space.name,
        subnet=pair.subnet.as_dict(),
        board=board.name,
        accelerator=pair.accelerator,
        accuracy=chosen.accuracy,
        accuracy_source=source,
        predicted=PredictedCost(chosen.latency_ms, chosen.energy_mj),
        resources={name: getattr(needs, name) for name in RESOURCES},
    )
    if not dry_run:
        write_record(run.winner, record)
    estimate = price(workload, pair.accelerator, board, searched.task.coefficients)
    used = ", ".join(f"{getattr(needs, name):,} of {getattr(board, name):,} {name}" for name in RESOURCES)
    lines = (
        f"winner     {rule_line(chosen.rule, compared)}",
        *pair_lines(pair, estimate, workload.macs, searched.task.coefficients),
        f"           accuracy: {chosen.accuracy:.2%} ({source}); resources: {used}",
        *(() if dry_run else (f"           {run.winner}",)),
    )
    for line in lines:
        progress.say(line)


def rule_line(rule: str, compared: Compared) -> str:
    """Name the rule by which a winner was chosen, and say whether accuracies were measured or predicted."""
    return f"{rule} ({'measured' if compared.source == 'measured' else 'predicted'} accuracies)"


def pair_lines(pair: Pair, estimate: Estimate, macs: int, coefficients: Coefficients) -> tuple[str, ...]:
    """What a pair is and what it is predicted to take."""
    interval = coefficients.latency_interval(estimate.latency_ms)
    sure = (
        "prior coefficients: no interval" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f} in 9 of 10"
    )
    a, subnet = pair.accelerator, pair.subnet
    return (
        f"           subnet: resolution {subnet.resolution}, depths {subnet.depths}, {macs:,} MACs",
        f"           accelerator: {a.pe_rows} x {a.pe_cols} x {a.pe_pixels} PEs, {a.pack} products a DSP, "
        f"{a.clock_mhz} MHz, buffers {a.ifmap_buffers} x {a.ifmap_kib}, {a.weight_buffers} x {a.weight_kib}, "
        f"{a.ofmap_buffers} x {a.ofmap_kib} KiB"
        + (f", 2 x {a.map_kib} KiB for maps that stay on chip" if a.map_kib else ""),
        f"           predicted: {estimate.latency_ms:.4f} ms ({sure}) and {estimate.energy_mj:.4f} mJ an image",
    )
