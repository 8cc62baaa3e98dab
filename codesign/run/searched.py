"""A search as a run asked for it, with the supernet whose weights its pairs are made of, and what was emitted of it."""

from dataclasses import dataclass

import optuna

from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.folder import Run, read_json
from codesign.run.records import EmittedRecord, LossesRecord
from codesign.run.requests import (
    Accuracies,
    SearchRequest,
    Trained,
    load_accuracies,
    load_trained,
    own_space,
)
from codesign.search.joint_space import JointSpace, Pair
from codesign.search.problem import Problem, SearchSettings
from codesign.search.study import SearchTask, StudyLocation
from codesign.templates.registry import load_template
from codesign.templates.template import EmittedPair, Template
from hw_templates.board import Board, board_label, load_board
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import check_record, reading


@dataclass(frozen=True)
class Searched:
    """A search as a run asked for it; its study may hold anything from nothing to all of it.

    Attributes:
        template: the kind of hardware.
        accuracies: where accuracies come from.
        task: the pairs with their prices, and the study.
        results: where the template's results lie.
    """

    template: Template
    accuracies: Accuracies
    task: SearchTask
    results: Run

    @property
    def problem(self) -> Problem:
        """The pairs with their prices."""
        return self.task.problem

    @property
    def board(self) -> Board:
        """The board that was searched for."""
        return self.problem.joint.board

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.task.location.name


def load_searched(
    run: Run, request: SearchRequest | None = None, template: str | Template = DEFAULT_TEMPLATE
) -> Searched:
    """Return the run's search with a template, or the one requested; nothing is written.

    Raises:
        InvalidValueError: unknown template, board or coefficients, these of another board or implementation, or a
            number out of range.
        StorageError: an earlier command has not run, or its result is damaged.
        UnsupportedLayerError: the template cannot run the subnets of the run's space; names a layer and says why.
    """
    # Optuna tells of every study it opens; what the commands show says more.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    template = load_template(template)
    results = run.of_template(template.name)
    request = request or results.settings(SearchRequest)
    template = template.of_implementation(request.implementation)
    board = load_board(request.board)
    accuracies = load_accuracies(run, request.accuracy, request.space)
    space = accuracies.space
    problem = template.problem(
        JointSpace(space, template.space(board)), request.coefficients, read_losses(run, template)
    )
    # Other accuracies, coefficients or implementations make another study, for they do not compare; so do other seeds.
    prefix = "" if template.name == DEFAULT_TEMPLATE else f"{template.name}-"
    name = f"{prefix}{space.name}-{board_label(board)}-{accuracies.digest[:8]}{problem.variant}-seed{request.seed}"
    task = SearchTask(
        location=StudyLocation(request.storage or str(run.study), name),
        problem=problem,
        oracle=accuracies.oracle,
        accuracy_name=f"{accuracies.source} {accuracies.digest}",
        settings=SearchSettings(request.pairs, request.seed, request.workers),
    )
    return Searched(template, accuracies, task, results)


def read_losses(run: Run, template: Template) -> dict[str, float]:
    """Return the losses of accuracy that were measured for the run's supernet; none where they were not yet.

    Raises:
        StorageError: the supernet or the record is damaged.
    """
    path = run.of_template(template.name).losses
    if not template.has_losses or not path.exists():
        return {}
    record = read_json(path, LossesRecord)
    return record.losses if record.checkpoint == load_trained(run).checkpoint.digest else {}


def find_weights(run: Run, searched: Searched) -> Trained | None:
    """Return the run's supernet where accuracies were measured with it; None where none is there or finished.

    Raises:
        StorageError: its configuration is damaged.
    """
    if searched.accuracies.trained is not None:
        return searched.accuracies.trained
    if not run.accuracies.exists() or own_space(run) is None:
        return None
    try:
        return load_trained(run)
    except StorageError:
        return None


def load_weights(run: Run, searched: Searched) -> Trained:
    """Return the run's supernet, of whose weights the pairs that were found are to be made.

    Raises:
        StorageError: there is none, or it is not finished or damaged.
    """
    accuracies = searched.accuracies
    if accuracies.trained is None and own_space(run) is None:
        raise StorageError(
            f"{run.folder}: weights: none in this run, whose accuracies are {accuracies.source}; "
            f"`codesign winner {run.folder}` shows the winning pair without them"
        )
    return accuracies.trained or load_trained(run)


def read_emitted(run: Run, template: Template) -> EmittedPair:
    """Return what was emitted with a template last.

    Raises:
        StorageError: nothing was, or not since the last search, or its record is damaged.
    """
    searched = load_searched(run, template=template)
    return emitted_pair(searched, emitted_record(searched))


def emitted_record(searched: Searched) -> EmittedRecord:
    """Return the record of what was emitted of a search.

    Raises:
        StorageError: nothing was, or its record is damaged.
    """
    results = searched.results
    record = read_json(results.emitted, EmittedRecord)
    found = (record.template, record.winner.board, record.winner.study)
    if found != (searched.template.name, searched.board.name, searched.study):
        raise StorageError(
            f"{results.emitted}: of another search than {searched.study}; run `codesign emit {results.argument}` first"
        )
    return record


def emitted_pair(searched: Searched, record: EmittedRecord) -> EmittedPair:
    """Return the pair of a record.

    Raises:
        StorageError: the record is damaged.
    """
    results, space = searched.results, searched.problem.joint.space
    with reading(results.emitted, f"run `codesign emit {results.argument}` again"):
        subnet = space.parse_subnet(record.winner.subnet)
        space.check(subnet)
        accelerator = check_record(record.winner.accelerator, searched.template.accelerator, "emitted.accelerator")
    return EmittedPair(
        pair=Pair(subnet, accelerator),
        problem=searched.problem,
        quantised=record.quantised,
        results=results,
    )
