"""``codesign winner``: the winning pair of a search as it stands; nothing is measured for it."""

from contextlib import nullcontext

from codesign.progress import Progress
from codesign.run import Run, write_json
from codesign.search.joint_space import JointSpace, Pair
from codesign.search.pareto import PricedPairs
from codesign.search.study import find_study, storage_errors
from codesign.search.winner import Rule, choose_winner, rule_of
from codesign.search.worker import read_front, read_progress
from codesign.supernet.lowering import lower
from codesign.verbs.context import Searched, load_searched
from cost_models.coefficients import Coefficients
from cost_models.estimate import Estimate, price
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.errors import StorageError


def winner(
    run: Run, max_latency_ms: float | None, min_accuracy: float | None, progress: Progress, *, dry_run: bool = False
) -> None:
    """Choose the winner of the front with the accuracies that it was searched with, say and record what it is.

    With ``dry_run`` it is only said: nothing is written, and another process may be at work in the run.

    Raises:
        InvalidValueError: both limits are given, or one is out of range.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: nothing was searched yet, or something cannot be read or written.
    """
    rule = rule_of(max_latency_ms, min_accuracy)
    # A run that is not there yet is for the reader of its search to complain about.
    with nullcontext() if dry_run or not run.folder.is_dir() else run.claim():
        _winner(run, rule, dry_run, progress)


def _winner(run: Run, rule: Rule, dry_run: bool, progress: Progress) -> None:
    searched = load_searched(run)
    chosen = choose_winner(searched.joint, found_front(run, searched, searched.joint), rule)
    pair, board, source = chosen.pair, searched.board, searched.accuracies.source
    workload = lower(searched.joint.space, pair.subnet)
    needs = estimate_resources(pair.accelerator, board)
    record = {
        "study": searched.task.location.name,
        "rule": chosen.rule,
        "space": searched.joint.space.name,
        "subnet": pair.subnet.as_dict(),
        "board": board.name,
        "accelerator": pair.accelerator.as_dict(),
        "accuracy": chosen.accuracy,
        "accuracy_source": source,
        "predicted": {"latency_ms": chosen.latency_ms, "energy_mj": chosen.energy_mj},
        "resources": {name: getattr(needs, name) for name in RESOURCES},
    }
    if not dry_run:
        write_json(run.winner, record)
    estimate = price(workload, pair.accelerator, board, searched.task.coefficients)
    used = ", ".join(f"{getattr(needs, name):,} of {getattr(board, name):,} {name}" for name in RESOURCES)
    lines = (
        f"winner     {chosen.rule}",
        *pair_lines(pair, estimate, workload.macs, searched.task.coefficients),
        f"           accuracy: {chosen.accuracy:.2%} ({source}); resources: {used}",
        *(() if dry_run else (f"           {run.winner}",)),
    )
    for line in lines:
        progress.say(line)


def found_front(run: Run, searched: Searched, joint: JointSpace) -> PricedPairs:
    """The front of the run's study, as pairs of ``joint``.

    Raises:
        StorageError: nothing was searched yet, or the study cannot be read.
    """
    study = find_study(searched.task.location, searched.task.identity)
    with storage_errors(searched.task.location):
        if study is None or not read_progress(study).pairs:
            raise StorageError(
                f"{run.folder}: study {searched.task.location.name} holds no search with these accuracies yet; "
                f"run `codesign search {run.folder}` first"
            )
        return read_front(study, joint)


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
