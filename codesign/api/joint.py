"""The joint search of subnets and accelerators, with accuracies from a run or from an oracle of the user's own."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import optuna

from codesign.commands import search as search_command
from codesign.progress import Progress, Silent
from codesign.run.folder import Run
from codesign.run.implementation import parse_implementation
from codesign.run.requests import SearchRequest
from codesign.run.searched import load_searched
from codesign.search.joint_search import joint_search
from codesign.search.joint_space import JointSpace
from codesign.search.problem import Problem, SearchSettings
from codesign.search.study import SearchTask, StudyLocation, read_front
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Space, Subnet
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.registry import load_template
from codesign.templates.template import refuse_option
from hw_templates.board import Board, load_board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError

_PROBES = 16
# Rounding differs between processors; accuracies that differ by less make no other search.
_PROBE_DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class FoundPair:
    """A pair of subnet and accelerator on the Pareto front, with its accuracy (0..1), latency and energy."""

    subnet: Subnet
    accelerator: Any
    accuracy: float
    latency_ms: float
    energy_mj: float


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of a search that most scripts leave as they are.

    Attributes:
        template: name of the kind of hardware.
        baselines: whether to search at random and sequentially, too; not with an oracle of your own.
        workers: processes.
        storage: URL of an Optuna storage; None for a journal in the run folder.
        seed: of the draws.
        implementation: of the engine: ``hls``, its C++, or ``rtl``, its Verilog.
    """

    template: str = "engine"
    baselines: bool = False
    workers: int = 1
    storage: str | None = None
    seed: int = 0
    implementation: str = "hls"


@dataclass(frozen=True)
class SearchOutcome:
    """The result of a search.

    Attributes:
        front: pairs that no other dominates in accuracy, latency and energy, ascending in latency.
        study: the Optuna study that holds them, in the run folder or in the storage that was named.
    """

    front: tuple[FoundPair, ...]
    study: optuna.Study


@overload
def joint_problem(
    space: str | Path | Space,
    board: str | Path | Board,
    *,
    coefficients: str = ...,
    implementation: str = ...,
    template: Literal["engine"] = ...,
) -> EngineProblem: ...
@overload
def joint_problem(
    space: str | Path | Space,
    board: str | Path | Board,
    *,
    coefficients: str = ...,
    implementation: str = ...,
    template: str,
    losses: Mapping[str, float] | None = ...,
) -> Problem: ...
def joint_problem(
    space: str | Path | Space,
    board: str | Path | Board,
    *,
    coefficients: str = "prior",
    implementation: str = "hls",
    template: str = "engine",
    losses: Mapping[str, float] | None = None,
) -> Problem:
    """Return the pairs of a space's subnets and a board's accelerators, with their prices.

    :class:`codesign.JointSampler` and :func:`codesign.joint_objective` take it; its attribute ``joint`` is the
    :class:`codesign.JointSpace`.

    Args:
        space: a space, its name, or the path of its TOML file.
        board: a board, its name, or the path of its TOML file.
        coefficients: of the cost model: ``prior``, or the folder of a calibration.
        implementation: of the engine: ``hls``, its C++, or ``rtl``, its Verilog.
        template: name of the kind of hardware.
        losses: accuracy (0..1) that the template's arithmetic costs, by the template's names such as ``8 bits``; a
            template whose arithmetic costs accuracy needs it.

    Raises:
        InvalidValueError: an unknown name, coefficients of another board, or no losses where the template needs them.
        UnsupportedLayerError: the template cannot run the subnets.

    >>> import codesign
    >>> problem = codesign.joint_problem("digits", "pynq-z2")
    >>> problem.joint.board.name, dict(problem.joint.parameters)["pack"]
    ('pynq-z2', (1, 2))
    """
    found, kind = load_template(template), space if isinstance(space, Space) else load_space(str(space))
    if implementation != Implementation.HLS:
        refuse_option(found, "implementation")
    found = found.of_implementation(parse_implementation(implementation))
    if found.has_losses and losses is None:
        raise InvalidValueError("losses", None, f"given, as the arithmetic of template {template} costs accuracy")
    return found.problem(JointSpace(kind, found.space(load_board(board))), coefficients, losses or {})


def search(
    run: str | Path,
    *,
    board: str | Path = "pynq-z2",
    space: str | Path | None = None,
    accuracy: str | AccuracyOracle = "predictor",
    pairs: int = 200_000,
    coefficients: str | Path = "prior",
    options: SearchOptions | None = None,
    progress: Progress | None = None,
) -> SearchOutcome:
    """Search subnets and accelerators together for a board; a later call resumes.

    A search with an oracle of your own has a study of its own for every oracle whose accuracies differ. It leaves no
    winner to emit in the run, as the run's supernet need not have these accuracies.

    Args:
        run: folder of the run.
        board: name of a board, or path of its TOML file.
        space: name of a space, or path of its TOML file; by default that of the run's supernet.
        accuracy: ``predictor`` and ``measured`` for those of the run's supernet, ``official`` for the published
            predictor, or an oracle of your own, for which ``space`` must be given.
        pairs: pairs to price in all.
        coefficients: of the cost model: ``prior``, or the folder of a calibration.
        options: template, baselines, workers, storage, seed and implementation.
        progress: shows progress.

    Raises:
        InvalidValueError: an unknown name, a number out of range, or an option that does not go with an oracle of your
            own.
        StorageError: the run has no such accuracies yet, or the storage is damaged or holds another study.
        InfeasibleError: no accelerator fits the board.
    """
    folder, chosen, shown = Run(Path(run)), options or SearchOptions(), progress or Silent()
    if isinstance(accuracy, str):
        request = SearchRequest(
            board=str(board),
            pairs=pairs,
            workers=chosen.workers,
            storage=chosen.storage,
            seed=chosen.seed,
            coefficients=str(coefficients),
            space=None if space is None else str(space),
            accuracy=accuracy,
            implementation=parse_implementation(chosen.implementation),
        )
        search_command.search(folder, request, shown, template=chosen.template, baselines=chosen.baselines)
        return _outcome(load_searched(folder, template=chosen.template).task)
    if space is None:
        raise InvalidValueError("space", None, "given, as the accuracies are of an oracle of your own")
    if chosen.baselines:
        raise InvalidValueError("baselines", True, "left out, as the accuracies are of an oracle of your own")
    if load_template(chosen.template).has_losses:
        expected = f"predictor or measured, as template {chosen.template} measures what its arithmetic costs"
        raise InvalidValueError("accuracy", "an oracle of your own", expected)
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # as for searches with the accuracies of a run
    problem = joint_problem(
        space, board, coefficients=str(coefficients), implementation=chosen.implementation, template=chosen.template
    )
    name = _name_of(accuracy, problem.joint.space)
    study = f"{problem.joint.space.name}-{problem.joint.board.name}-{name}{problem.variant}-seed{chosen.seed}"
    task = SearchTask(
        location=StudyLocation(chosen.storage or str(folder.study), study),
        problem=problem,
        oracle=accuracy,
        accuracy_name=f"own {name}",
        settings=SearchSettings(pairs, chosen.seed, chosen.workers),
    )
    with folder.claim(), shown.stage("joint search") as update:
        joint_search(task, lambda done: update(done.pairs / pairs, f"{done.pairs:,} pairs"))
    return _outcome(task)


def _name_of(oracle: AccuracyOracle, space: Space) -> str:
    """Return the class of an oracle with a digest of a few accuracies, so that no study mixes those of two oracles."""
    accuracies = checked_accuracy(oracle, space.sample_genes(np.random.default_rng(0), _PROBES))
    digest = hashlib.sha256(np.round(accuracies, _PROBE_DECIMALS).tobytes()).hexdigest()
    return f"{type(oracle).__qualname__}-{digest[:8]}"


def _outcome(task: SearchTask) -> SearchOutcome:
    study, joint = task.open_study(), task.problem.joint
    found = read_front(study, task.problem)
    front = []
    for row, (accuracy, latency_ms, energy_mj) in zip(found.rows, found.values.tolist(), strict=True):
        pair = joint.decode(row)
        front.append(
            FoundPair(
                subnet=pair.subnet,
                accelerator=pair.accelerator,
                accuracy=accuracy,
                latency_ms=latency_ms,
                energy_mj=energy_mj,
            )
        )
    return SearchOutcome(tuple(front), study)
