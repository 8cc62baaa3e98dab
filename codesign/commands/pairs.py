"""``codesign winner``, ``emit`` and ``csim``: the winning pair of a search, its project, and that project simulated."""

from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from codesign.progress import Progress
from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.folder import Run, claiming
from codesign.run.implementation import check_implementation
from codesign.run.records import ComparedRecord, CsimRecord, EmittedRecord, PredictedCost, WinnerRecord
from codesign.run.requests import EmitRequest, Trained
from codesign.run.searched import Searched, emitted_pair, emitted_record, find_weights, load_searched, load_weights
from codesign.search.joint_search import read_progress
from codesign.search.pareto import ACCURACY, PricedPairs
from codesign.search.problem import Problem
from codesign.search.study import feasible_trials, find_study, read_pairs, storage_errors
from codesign.search.winner import Compared, Rule, Winner, choose_priced, measure_front, pairs_to_measure, rule_of
from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.lowering.workloads import lower
from codesign.templates.registry import load_template
from codesign.templates.template import ChosenPair, EmittedProject, Simulation, Template, refuse, refuse_option
from cost_models.resources import RESOURCES
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import write_record

WHOLE = Simulation()
"""Runs all test images, without sanitizers."""


@dataclass(frozen=True, kw_only=True)
class WinnerResult:
    """The winning pair of a search.

    Attributes:
        template: name of the kind of hardware.
        winner: what is recorded of the pair.
        resolution: of the subnet's input.
        depths: blocks of the subnet's stages.
        macs: multiplications of one inference.
        accelerator: parameters of the accelerator in one line.
        latency_interval_ms: bounds that hold 9 of 10 measured latencies; None where the coefficients have none.
        available: the board's resources.
        skipped: trials that are no pairs of the search, and why.
        file: where the winner was written; None where it was not.
    """

    template: str
    winner: WinnerRecord
    resolution: int
    depths: tuple[int, ...]
    macs: int
    accelerator: str
    latency_interval_ms: tuple[float, float] | None
    available: dict[str, int]
    skipped: tuple[str, ...]
    file: Path | None


@dataclass(frozen=True)
class Choice:
    """A winner with the problem that prices it, the pairs that it was chosen from, and the trials left out."""

    problem: Problem
    winner: Winner
    compared: Compared
    skipped: tuple[str, ...]


def winner(
    run: Run,
    rule: EmitRequest,
    progress: Progress,
    *,
    template: str | Template = DEFAULT_TEMPLATE,
    dry_run: bool = False,
) -> WinnerResult:
    """Choose the winner of the search as it stands and record it.

    Accuracies are measured ones where all compared pairs have them from before, else those that were searched with.

    Args:
        run: the run.
        rule: to choose by.
        progress: shows progress.
        template: kind of hardware that was searched.
        dry_run: whether nothing is to be written; another process may then be at work in the run.

    Raises:
        InvalidValueError: two options name different rules, or one is out of range.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: nothing was searched yet, or something cannot be read or written.
    """
    chosen_by = rule_of(**asdict(rule))
    # A run that is not there yet is for the reader of its search to complain about.
    with nullcontext() if dry_run or not run.folder.is_dir() else run.claim():
        searched = load_searched(run, template=template)
        choice = choose(run, searched, find_weights(run, searched), chosen_by, progress)
        file = None if dry_run else searched.results.winner
        result = winner_result(searched, choice, file)
        if file:
            write_record(file, result.winner)
        return result


def choose(
    run: Run, searched: Searched, trained: Trained | None, rule: Rule, progress: Progress, measuring: bool = False
) -> Choice:
    """Choose the winner, with measured accuracies where all compared pairs have them, else with predicted ones.

    Args:
        run: the run whose accuracies were measured.
        searched: its search.
        trained: its supernet; None where there is none.
        rule: to choose by.
        progress: shows progress of the measuring.
        measuring: whether to measure the accuracies that are missing.

    Raises:
        InfeasibleError: no pair fits or meets the rule's limit; says the nearest.
        StorageError: nothing was searched yet, or something cannot be read or written.
    """
    pairs, skipped = found_pairs(searched)
    problem = searched.problem
    if trained and trained.space != problem.joint.space:
        # What was searched may lack resolutions of the supernet; trials name choices, so either space reads them.
        problem = problem.of_space(trained.space)
        rows = [problem.joint.encode_params(params) for params in searched.problem.joint.params(pairs.rows)]
        pairs = PricedPairs(np.array(rows, dtype=np.int64).reshape(-1, len(problem.joint.parameters)), pairs.values)
    oracle = trained and MeasuredAccuracy(trained.checkpoint, trained.data, cache=run.accuracies)
    gene_count = problem.joint.gene_count

    def compare(front: PricedPairs) -> Compared:
        if oracle:
            chosen = pairs_to_measure(front, oracle, gene_count)
            if measuring or oracle.knows(chosen.rows[:, :gene_count]):
                with progress.stage("measure the front") as update:
                    update(0.0, f"{len(chosen)} of {len(front)} pairs")
                    return Compared(measure_front(problem, chosen, oracle), "measured")
        return Compared(front, searched.accuracies.source)

    return Choice(problem, *choose_priced(problem, pairs, rule, compare), skipped)


def found_pairs(searched: Searched) -> tuple[PricedPairs, tuple[str, ...]]:
    """Return the pairs of a search, on a front or not, with predicted accuracies, and the trials that are left out.

    Raises:
        StorageError: nothing was searched yet, or the study cannot be read.
    """
    task, skipped, joint = searched.task, list[str](), searched.problem.joint
    study = find_study(task.location, task.identity)
    with storage_errors(task.location):
        if study is None or not read_progress(study).pairs:
            raise StorageError(
                f"{searched.results.folder}: study {searched.study} holds no search with these accuracies yet; "
                f"run `codesign search {searched.results.argument}` first"
            )
        pairs = read_pairs(joint, feasible_trials(study), skipped.append)
    # Measured ones are looked up where they are compared.
    if searched.accuracies.source != "measured" and len(pairs):
        predicted = task.oracle.accuracy(pairs.rows[:, : joint.gene_count])
        pairs.values[:, ACCURACY] = np.maximum(predicted - searched.problem.loss(pairs.rows), 0)
    return pairs, tuple(skipped)


def winner_result(searched: Searched, choice: Choice, file: Path | None) -> WinnerResult:
    """Return what a user is told of a chosen pair."""
    chosen, problem, template = choice.winner, choice.problem, searched.template
    pair, joint = chosen.pair, problem.joint
    needs = problem.estimate(pair).resources
    record = WinnerRecord(
        study=searched.study,
        rule=chosen.rule,
        space=searched.problem.joint.space.name,
        subnet=pair.subnet.as_dict(),
        board=joint.board.name,
        accelerator=asdict(pair.accelerator),
        accuracy=chosen.accuracy,
        accuracy_source=choice.compared.source,
        predicted=PredictedCost(chosen.latency_ms, chosen.energy_mj),
        resources={name: getattr(needs, name) for name in RESOURCES},
    )
    return WinnerResult(
        template=template.name,
        winner=record,
        resolution=pair.subnet.resolution,
        depths=tuple(pair.subnet.depths),
        macs=lower(joint.space, pair.subnet).macs,
        accelerator=template.describe(pair.accelerator),
        latency_interval_ms=problem.latency_interval(chosen.latency_ms),
        available={name: getattr(joint.board, name) for name in RESOURCES},
        skipped=choice.skipped,
        file=file,
    )


@dataclass(frozen=True)
class EmitResult:
    """A project that was emitted.

    Attributes:
        winner: the pair.
        project: how the project does.
        folder: where the project lies.
    """

    winner: WinnerResult
    project: EmittedProject
    folder: Path


@claiming
def emit(
    run: Run,
    rule: EmitRequest,
    progress: Progress,
    *,
    template: str | Template = DEFAULT_TEMPLATE,
    implementation: str | None = None,
) -> EmitResult:
    """Choose the winner with measured accuracies, quantise it and write its project.

    Args:
        run: the run.
        rule: to choose by.
        progress: shows progress.
        template: kind of hardware that was searched.
        implementation: name of the engine's implementation, which must be the one searched for; None for that one.

    Raises:
        InvalidValueError: two options name different rules, one is out of range, or the search was for another
            implementation.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: an earlier command has not run, or something cannot be read or written.
        ToolError: a tool of the template is missing or fails.
    """
    chosen_by, template = rule_of(**asdict(rule)), load_template(template)
    if implementation is not None:
        refuse_option(template, "implementation")
    template.require_tools()
    searched = load_searched(run, template=template)
    check_implementation(
        implementation,
        searched.problem.implementation,
        f"which {searched.results.argument} was searched for",
        f"search with --implementation {implementation}",
    )
    trained, results = load_weights(run, searched), searched.results
    choice = choose(run, searched, trained, chosen_by, progress, measuring=True)
    project = _write_project(searched, trained, choice.winner, choice.problem, progress)
    result = winner_result(searched, choice, None)
    write_record(results.measured_front, ComparedRecord(searched.study, choice.compared.front.values))
    write_record(results.emitted, _record(searched, result.winner, project))
    results.configure(rule, replace=True)
    return EmitResult(result, project, results.project)


def emit_at_clock(run: Run, clock_mhz: int, progress: Progress) -> None:
    """Emit the engine that was emitted last once more, for another clock of its board.

    The run is the caller's, who has claimed it.

    Raises:
        InvalidValueError: the board has no such clock.
        StorageError: nothing was emitted since the last search, or something cannot be read or written.
    """
    searched = load_searched(run)
    board, clocks = searched.board, searched.board.clocks_mhz
    if clock_mhz not in clocks:
        raise InvalidValueError("clock_mhz", clock_mhz, f"one of {', '.join(map(str, clocks))}, those of {board.name}")
    record = emitted_record(searched)
    pair = emitted_pair(searched, record).pair
    pair = replace(pair, accelerator=replace(pair.accelerator, clock_mhz=clock_mhz))
    cost, chosen = searched.problem.estimate(pair), record.winner
    winner = Winner(
        pair=pair,
        accuracy=chosen.accuracy,
        latency_ms=cost.latency_ms,
        energy_mj=cost.energy_mj,
        rule=chosen.rule,
    )
    project = _write_project(searched, load_weights(run, searched), winner, searched.problem, progress)
    chosen = replace(
        chosen,
        accelerator=asdict(pair.accelerator),
        predicted=PredictedCost(cost.latency_ms, cost.energy_mj),
        resources={name: getattr(cost.resources, name) for name in RESOURCES},
    )
    write_record(searched.results.emitted, _record(searched, chosen, project))


def _write_project(
    searched: Searched, trained: Trained, winner: Winner, problem: Problem, progress: Progress
) -> EmittedProject:
    results = searched.results
    with progress.stage("emit") as update:
        # A simulation of an earlier project stays; its digest tells it apart.
        results.emitted.unlink(missing_ok=True)
        chosen = ChosenPair(
            winner=winner, problem=problem, trained=trained, study=searched.study, folder=results.project
        )
        return searched.template.emit(chosen, update)


def _record(searched: Searched, winner: WinnerRecord, project: EmittedProject) -> EmittedRecord:
    return EmittedRecord(
        template=searched.template.name,
        winner=winner,
        precision=project.precision,
        float32=project.float32,
        quantised=project.quantised,
        digest=project.digest,
    )


@dataclass(frozen=True)
class CsimResult:
    """Agreement of an emitted project with the integer reference; ``template`` is the name of its kind of hardware."""

    template: str
    record: CsimRecord


@claiming
def csim(
    run: Run,
    progress: Progress,
    simulation: Simulation = WHOLE,
    *,
    template: str | Template = DEFAULT_TEMPLATE,
) -> CsimResult:
    """Compile or simulate the project in its implementation, and run its test images through it.

    Raises:
        InvalidValueError: an option that the template does not take, or another implementation than the project's.
        StorageError: nothing is emitted yet, its record is corrupt, or a file was changed since.
        ToolError: a tool is missing, or the code does not compile.
        VerificationError: a logit or a count differs.
    """
    template = load_template(template)
    refuse(template, simulation)
    with progress.stage("csim") as update:
        record = template.simulate(run, simulation, update)
    results = run.of_template(template.name)
    write_record(results.verification, record)
    return CsimResult(template.name, record)
