"""Choosing the winner of a run's search, by one function for every command that does."""

from collections.abc import Sequence

import numpy as np

from codesign.progress import Progress, Silent
from codesign.run.folder import Run
from codesign.run.requests import Searched, Trained
from codesign.search.joint_space import JointSpace
from codesign.search.pareto import ACCURACY, PricedPairs
from codesign.search.study import find_study, is_feasible, read_pairs, storage_errors
from codesign.search.winner import Compared, Rule, Winner, choose_priced, choose_winner, measure_front, pairs_to_measure
from codesign.search.worker import read_progress
from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.lowering.workloads import lower
from cost_models.closed_form.estimate import price
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import MappingError, StorageError

_SAID = 3


def choose(
    run: Run, searched: Searched, trained: Trained | None, rule: Rule, measuring: bool, progress: Progress
) -> tuple[Winner, Compared]:
    """Choose the winner, with measured accuracies where all compared pairs have them, else with predicted ones.

    Args:
        run: whose accuracies were measured.
        searched: its search.
        trained: its supernet; None where there is none.
        rule: to choose by.
        measuring: whether to measure the accuracies that are missing.
        progress: hears of it, and of trials that are left out.

    Returns:
        The winner and the pairs that it was chosen from.

    Raises:
        InfeasibleError: no pair fits or meets the rule's limit; says the nearest.
        StorageError: nothing was searched yet, or something cannot be read or written.
    """
    pairs, joint = found_pairs(run, searched, progress), searched.joint
    if trained is not None and trained.space != joint.space:
        # What was searched may lack resolutions of the supernet; trials name choices, so either space reads them.
        joint = JointSpace(trained.space, joint.accelerators)
        rows = [joint.encode_params(params) for params in searched.joint.params(pairs.rows)]
        pairs = PricedPairs(np.array(rows, dtype=np.int64).reshape(-1, len(joint.parameters)), pairs.values)
    oracle = None if trained is None else MeasuredAccuracy(trained.checkpoint, trained.data, cache=run.accuracies)

    def compare(front: PricedPairs) -> Compared:
        if oracle is not None:
            chosen = pairs_to_measure(joint, front, oracle)
            if measuring or oracle.recorded(chosen.rows[:, : joint.gene_count]) is not None:
                with (progress if measuring else Silent()).stage("measure the front") as update:
                    update(0.0, f"{len(chosen)} of {len(front)} pairs")
                    return Compared(measure_front(joint, chosen, oracle), "measured")
        return Compared(front, searched.accuracies.source)

    def price_row(row: IntArray) -> tuple[float, float]:
        pair = joint.decode(row)
        try:
            workload = lower(joint.space, pair.subnet)
            estimate = price(workload, pair.accelerator, searched.board, searched.task.coefficients)
        except MappingError:
            return np.inf, np.inf
        return estimate.latency_ms, estimate.energy_mj

    compared, _ = choose_priced(joint, pairs, rule, compare, price_row)
    return choose_winner(joint, compared.front, rule), compared


def found_pairs(run: Run, searched: Searched, progress: Progress) -> PricedPairs:
    """Return the pairs of the run's search, on a front or not, with the accuracies that its source predicts.

    Raises:
        StorageError: nothing was searched yet, or the study cannot be read.
    """
    task, skipped = searched.task, list[str]()
    study = find_study(task.location, task.identity)
    with storage_errors(task.location):
        if study is None or not read_progress(study).pairs:
            raise StorageError(
                f"{run.folder}: study {task.location.name} holds no search with these accuracies yet; "
                f"run `codesign search {run.folder}` first"
            )
        trials = [trial for trial in study.get_trials(deepcopy=False) if is_feasible(trial)]
        pairs = read_pairs(task.joint, trials, skipped.append)
    say_skipped(skipped, progress)
    # Measured ones are looked up where they are compared.
    if searched.accuracies.source != "measured" and len(pairs):
        pairs.values[:, ACCURACY] = task.oracle.accuracy(pairs.rows[:, : task.joint.gene_count])
    return pairs


def say_skipped(skipped: Sequence[str], progress: Progress) -> None:
    """Name the trials that were left out; the first few of many."""
    for text in skipped[:_SAID]:
        progress.say(f"           left out: {text}")
    if len(skipped) > _SAID:
        progress.say(f"           left out: {len(skipped) - _SAID:,} trials more")
