"""Running the joint search on a study, in this process or in several."""

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

import optuna

from codesign.search.joint_space import JointSpace
from codesign.search.pareto import PricedPairs
from codesign.search.pricing import PairPricer
from codesign.search.study import StudyIdentity, StudyLocation, open_study, storage_errors
from codesign.search.worker import Progress, SearchSettings, Worker, read_front, read_progress
from codesign.supernet.oracle import AccuracyOracle
from cost_models.coefficients import Coefficients
from hw_templates.errors import InfeasibleError, StorageError, ToolError

_POLL_S = 0.5

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class SearchTask:
    """What is searched, where it is kept, and how.

    Attributes:
        location: of the study.
        joint: the joint space.
        coefficients: of the cost model.
        oracle: accuracies; with several workers it is sent to them, so it must be picklable.
        accuracy_name: where accuracies come from, such as a digest; part of the study's identity.
        settings: budget, seed, workers.
    """

    location: StudyLocation
    joint: JointSpace
    coefficients: Coefficients
    oracle: AccuracyOracle
    accuracy_name: str
    settings: SearchSettings

    @property
    def identity(self) -> StudyIdentity:
        """What the task's study must say of itself."""
        return StudyIdentity.of(self.joint, self.coefficients.name, self.accuracy_name)

    def open_study(self) -> optuna.Study:
        """The task's study, made where missing.

        Raises:
            StorageError: as :func:`~codesign.search.study.open_study`.
        """
        return open_study(self.location, self.identity)


@dataclass(frozen=True)
class SearchResult:
    """What the study holds after a search.

    Attributes:
        front: its non-dominated feasible pairs, ascending in latency.
        progress: of all calls and workers together.
    """

    front: PricedPairs
    progress: Progress


def joint_search(task: SearchTask, on_progress: OnProgress | None = None) -> SearchResult:
    """Search until the study counts ``task.settings.pairs`` priced pairs; a later call goes on where this one ended.

    Finished trials are in the storage within seconds of being found: a kill loses no more than that.

    Args:
        task: what to search.
        on_progress: called after each round (each half second with several workers).

    Raises:
        StorageError: the storage is damaged, holds another study or cannot be written.
        InfeasibleError: no accelerator fits the board.
    """
    study = task.open_study()
    report = on_progress or (lambda _: None)
    if task.settings.workers == 1:
        _search_here(task, study, report)
    else:
        _search_in_processes(task, study, report)
    with storage_errors(task.location):
        progress = read_progress(study)
        front = read_front(study, task.joint)
    return SearchResult(front, progress)


def _search_here(task: SearchTask, study: optuna.Study, report: OnProgress) -> None:
    before = read_progress(study)
    worker = Worker(study, task.location, PairPricer(task.joint, task.coefficients), task.oracle, task.settings, 0)
    start = worker.done

    def after_round(worker: Worker) -> bool:
        report(before + worker.done - start)
        return True

    worker.run(start.pairs + task.settings.pairs - before.pairs, after_round)


def _search_in_processes(task: SearchTask, study: optuna.Study, report: OnProgress) -> None:
    missing = task.settings.pairs - read_progress(study).pairs
    if missing <= 0:
        return
    # Spawned, not forked: threads of numerical libraries do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stop, failures = context.Event(), context.SimpleQueue()
    count = task.settings.workers
    processes = [
        context.Process(target=_work, args=(task, number, -(-missing // count), stop, failures))
        for number in range(count)
    ]
    try:
        for process in processes:
            process.start()
        while any(process.is_alive() for process in processes) and failures.empty():
            time.sleep(_POLL_S)
            with storage_errors(task.location):
                report(read_progress(study))
    finally:
        stop.set()
        for process in processes:
            if process.pid is not None:
                process.join()
    if not failures.empty():
        raise failures.get()
    for number, process in enumerate(processes):
        if process.exitcode:
            raise ToolError(f"search worker {number} ended with exit code {process.exitcode}; run the search again")


def _work(
    task: SearchTask, number: int, pairs: int, stop: Event, failures: "SimpleQueue[StorageError | InfeasibleError]"
) -> None:
    """Body of a worker process: price ``pairs`` more pairs, or until told to stop or the parent is gone."""
    # Ctrl-C reaches all processes of a terminal; the parent tells the workers to write what they have and stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parent = multiprocessing.parent_process()

    def after_round(_: Worker) -> bool:
        return not stop.is_set() and (parent is None or parent.is_alive())

    try:
        # The workers start from as many accelerators together as one would alone.
        plan = task.settings.round_plan
        first = -(-plan.first_accelerators // task.settings.workers)
        settings = replace(task.settings, plan=replace(plan, first_accelerators=first))
        pricer = PairPricer(task.joint, task.coefficients)
        worker = Worker(task.open_study(), task.location, pricer, task.oracle, settings, number)
        worker.run(worker.done.pairs + pairs, after_round)
    except (StorageError, InfeasibleError) as error:
        failures.put(error)
