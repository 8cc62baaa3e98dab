"""Which pairs the trials of an Optuna study have tried, or are at this moment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from codesign.search.pareto import PricedPairs
from codesign.search.problem import Problem
from codesign.search.study import feasible_trials, read_pairs
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InvalidValueError

_CLAIM = "codesign:pair"
_ENQUEUED = "fixed_params"


@dataclass(frozen=True)
class TriedPairs:
    """The pairs that the trials of a study have tried, whatever the state of the trials.

    Attributes:
        rows: every pair, as the bytes of its row.
        subnets: their subnets, as the bytes of their genes.
        running: [r, G + P] the pairs of trials that have not ended.
    """

    rows: frozenset[bytes]
    subnets: frozenset[bytes]
    running: IntArray


class TrialReader:
    """Reads trials as pairs, and claims pairs for trials.

    A trial has its parameters one after the other, once its objective asks for them. So that others know at once which
    pair it will try, the pair is written to its system attributes first.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._joint = joint = problem.joint
        self._sizes = [len(choices) for _, choices in joint.parameters]
        self._known: dict[frozenset[tuple[str, Any]], IntArray | None] = {}

    def tried(self, study: optuna.Study, trial: FrozenTrial) -> TriedPairs:
        """Return the pairs that all trials but ``trial`` have tried, failed ones too: they would fail again."""
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        pairs = [(other.state.is_finished(), self._pair(other)) for other in others]
        rows = [row for _, row in pairs if row is not None]
        running = [row for finished, row in pairs if row is not None and not finished]
        gene_count = self._joint.gene_count
        return TriedPairs(
            rows=frozenset(row.tobytes() for row in rows),
            subnets=frozenset(row[:gene_count].tobytes() for row in rows),
            running=np.array(running, dtype=np.int64).reshape(-1, len(self._sizes)),
        )

    def found(self, study: optuna.Study, on_skipped: Callable[[str], None]) -> PricedPairs:
        """The pairs of complete trials that fit the board; ``on_skipped`` hears of trials that cannot be pairs."""
        pairs = read_pairs(self._joint, feasible_trials(study), on_skipped, with_own_parameters=True)
        return pairs.take(self._problem.fits(pairs.rows))

    def enqueued(self, trial: FrozenTrial) -> dict[str, Any]:
        """Parameters that were given to ``trial`` when it was enqueued, and that the joint space has."""
        given = {**trial.system_attrs.get(_ENQUEUED, {}), **trial.params}
        return {name: given[name] for name, choices in self._joint.parameters if given.get(name) in choices}

    def claim(self, study: optuna.Study, trial: FrozenTrial, row: IntArray) -> bool:
        """Claim a pair for ``trial``; whether no other trial has it.

        Of two that claim the same pair at once the later one sees the other's claim; both may.
        """
        study._storage.set_trial_system_attr(trial._trial_id, _CLAIM, row.tolist())
        return row.tobytes() not in self.tried(study, trial).rows

    def claimed(self, trial: FrozenTrial) -> IntArray | None:
        """The row of the pair that was claimed for ``trial``, if any."""
        row = trial.system_attrs.get(_CLAIM)
        if not isinstance(row, list) or len(row) != len(self._sizes):
            return None
        sound = all(type(index) is int and 0 <= index < size for index, size in zip(row, self._sizes, strict=True))
        return np.array(row, dtype=np.int64) if sound else None

    def _pair(self, trial: FrozenTrial) -> IntArray | None:
        """Return the pair of ``trial``, by its parameters or else by its claim; None where neither names a pair."""
        params = trial.params
        if trial.state == TrialState.WAITING:
            params = trial.system_attrs.get(_ENQUEUED, {})
        whole = self._encode(params)
        return self.claimed(trial) if whole is None else whole

    def _encode(self, params: dict[str, Any]) -> IntArray | None:
        ours = {name: params[name] for name in self._joint.distributions.keys() & params.keys()}
        key = frozenset(ours.items())
        if key not in self._known:
            try:
                self._known[key] = self._joint.encode_params(ours)
            except InvalidValueError:
                self._known[key] = None
        return self._known[key]
