from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from codesign.search import winner
from codesign.search.pareto import PricedPairs
from codesign.search.winner import Compared, Rule, choose_priced, measure_front, pairs_to_measure, rule_of, spread
from codesign.templates.engine.problem import EngineProblem
from cost_models.coefficients import load_coefficients
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError

VALUES = np.array(
    [[0.90, 1.0, 10.0], [0.94, 2.0, 12.0], [0.94, 3.0, 11.0], [0.97, 4.0, 30.0], [0.98, 8.0, 60.0]], dtype=float
)


@pytest.fixture
def front(joint):
    rng = np.random.default_rng(0)
    accelerators = joint.accelerators.encode(joint.accelerators.sample(rng, len(VALUES)))
    return PricedPairs(np.concatenate([joint.space.sample_genes(rng, len(VALUES)), accelerators], axis=1), VALUES)


@pytest.mark.parametrize(
    ("rule", "index"),
    [
        (Rule("max_latency_ms", 1.0), 0),
        (Rule("max_latency_ms", 3.5), 1),  # of two with 0.94 the faster
        (Rule("max_latency_ms", 100.0), 4),
        (Rule("min_accuracy", 0.91), 1),
        (Rule("min_accuracy", 0.97), 3),
        (Rule("min_accuracy", 0.0), 0),
        # Scaled losses by hand: squared distances to the ideal are 1, .36, .53, .46 and 1 to two digits.
        (Rule("knee"), 1),
        (Rule("within"), 3),  # the best has 0.98; what has exactly one point less is within
        (Rule("within", 0.0), 4),
        (Rule("within", 4.0), 1),
        (Rule("within", 3.999), 3),
        (Rule("within", 100.0), 0),
    ],
)
def test_rules_choose_by_their_statement(front, rule, index):
    assert rule.choose(front) == index


def test_knee_is_nearest_to_the_ideal_by_hand(front):
    losses = []
    for accuracy, latency_ms, _ in VALUES:
        losses.append(((0.98 - accuracy) / 0.08) ** 2 + (np.log(latency_ms) / np.log(8)) ** 2)
    assert Rule("knee").choose(front) == int(np.argmin(losses))


def test_energy_that_follows_latency_does_not_count_the_cost_twice(front):
    # Accuracy gains more than latency loses; with energy as a third objective the cheapest pair would be nearest.
    accuracy, latency_ms = np.array([0.90, 0.95, 0.96, 0.97, 0.98]), np.array([1.0, 1.3, 1.75, 4.0, 8.0])
    values = np.stack([accuracy, latency_ms, 2 * latency_ms], axis=1)
    scaled = np.stack([(0.98 - accuracy) / 0.08, np.log(latency_ms) / np.log(8)], axis=1) ** 2
    assert int((scaled @ [1, 2]).argmin()) == 1
    assert Rule("knee").choose(replace(front, values=values)) == int((scaled @ [1, 1]).argmin()) == 2


@pytest.mark.parametrize(
    "rule",
    [Rule("within"), Rule("min_accuracy", 0.9), Rule("max_latency_ms", 5.0), Rule("knee")],
    ids=lambda rule: str(rule),
)
def test_energy_breaks_ties(front, rule):
    values = np.array([[0.96, 2.0, 9.0], [0.96, 2.0, 7.0], [0.96, 2.0, 8.0], [0.5, 3.0, 1.0], [0.5, 6.0, 0.5]])
    assert rule.choose(replace(front, values=values)) == 1


def test_latency_limit_none_meets_says_so_and_names_the_nearest(front):
    with pytest.raises(InfeasibleError, match=r"latency_ms: no pair of 5 is within 0\.5 ms; the nearest is 1 ms with"):
        Rule("max_latency_ms", 0.5).choose(front)


def test_accuracy_floor_none_meets_says_so_and_names_the_nearest(front):
    with pytest.raises(InfeasibleError, match=r"accuracy: no pair of 5 reaches 99\.00%; the nearest is 8 ms with 98"):
        Rule("min_accuracy", 0.99).choose(front)


def test_an_empty_front_has_no_winner(front):
    with pytest.raises(InfeasibleError, match="no feasible pair was found"):
        Rule("knee").choose(front.take(np.zeros(5, dtype=bool)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rule("max_latency_ms", 0.0), r"max_latency_ms: must be positive and finite, got 0\.0"),
        (lambda: Rule("min_accuracy", 97.0), r"min_accuracy: must be in 0\.\.1, got 97\.0"),
        (lambda: Rule("within", -1.0), r"within: must be in 0\.\.100, got -1\.0"),
        (lambda: Rule("within", np.nan), r"within: must be in 0\.\.100, got nan"),
        (lambda: rule_of(max_latency_ms=-1.0), r"max_latency_ms: must be positive and finite, got -1\.0"),
        (lambda: rule_of(min_accuracy=97.0), r"min_accuracy: must be in 0\.\.1, got 97\.0"),
        (lambda: rule_of(within=101.0), r"within: must be in 0\.\.100, got 101\.0"),
        (lambda: rule_of(rule="elbow"), "rule: must be within or knee, got 'elbow'"),
        (lambda: rule_of(2.0, 0.9), r"min_accuracy: must be left out when --max-latency-ms is given, got 0\.9"),
        (lambda: rule_of(2.0, within=1.0), r"within: must be left out when --max-latency-ms is given, got 1\.0"),
        (
            lambda: rule_of(min_accuracy=0.9, rule="knee"),
            "rule: must be left out when --min-accuracy is given, got 'knee'",
        ),
        (lambda: rule_of(within=2.0, rule="knee"), "rule: must be left out when --within is given, got 'knee'"),
        (lambda: rule_of(2.0, rule="within"), "rule: must be left out when --max-latency-ms is given, got 'within'"),
    ],
)
def test_bad_limits_are_named(make, message):
    with pytest.raises(InvalidValueError, match=message):
        make()


def test_an_option_makes_a_rule_and_none_the_fastest_within_one_point():
    assert rule_of(2.0, None) == Rule("max_latency_ms", 2.0)
    assert rule_of(None, 0.9) == Rule("min_accuracy", 0.9)
    assert rule_of() == rule_of(rule="within") == Rule("within", 1.0)
    assert rule_of(within=2.5) == rule_of(within=2.5, rule="within") == Rule("within", 2.5)
    assert rule_of(rule="knee") == Rule("knee")
    assert str(rule_of()) == "fastest within 1 point of the best accuracy"
    assert str(rule_of(within=2.5)) == "fastest within 2.5 points of the best accuracy"


class CountingOracle:
    """Accuracy 0.5, but 0.9 for the least depth; counts what it is asked."""

    def __init__(self):
        self.asked = 0

    def accuracy(self, genes):
        assert len(np.unique(genes, axis=0)) == len(genes)
        self.asked += len(genes)
        return np.where(genes[:, 1] == 0, 0.9, 0.5)


def test_measuring_replaces_accuracy_and_drops_what_is_dominated_now(joint, front, problem):
    rows = front.rows.copy()
    rows[:, 1] = [0, 1, 1, 1, 0]
    rows[4, : joint.gene_count] = rows[0, : joint.gene_count]
    oracle = CountingOracle()
    measured = measure_front(problem, PricedPairs(rows, VALUES), oracle)
    # The fastest pair is as cheap as any and now as accurate: it alone remains.
    assert measured.values.tolist() == [[0.9, 1.0, 10.0]]
    assert oracle.asked == 4


class Recorded:
    """Accuracies by the first gene's index, of the resolutions that were measured."""

    def __init__(self, known):
        self.known = known

    def knows(self, genes):
        return all(row.tobytes() in self.known for row in genes)

    def accuracy(self, genes):
        self.known |= {row.tobytes() for row in genes}
        return np.full(len(genes), 0.7)


def test_all_are_compared_where_all_are_measured_else_a_few(joint, front, problem, monkeypatch):
    monkeypatch.setattr(winner, "MEASURED_PAIRS", 3)
    few, oracle = pairs_to_measure(front, Recorded(set()), joint.gene_count), Recorded(set())
    assert len(few) == 3
    measure_front(problem, few, oracle)
    assert len(pairs_to_measure(front, oracle, joint.gene_count)) == 3
    measure_front(problem, front, oracle)
    assert len(pairs_to_measure(front, oracle, joint.gene_count)) == 5


@dataclass(frozen=True)
class StatedProblem(EngineProblem):
    """Engines whose prices, or whose losses of accuracy, are given."""

    price: Any = None
    taken: Any = None

    def evaluate(self, rows):
        return np.array([self.price(row) for row in rows]), self.needs(rows)

    def loss(self, rows):
        return np.array(self.taken)


def test_what_an_accelerator_takes_from_accuracy_counts_before_pairs_are_compared(joint, front):
    def measured_with(*taken):
        return measure_front(StatedProblem(joint, load_coefficients(), taken=taken), front, Recorded(set())).values

    assert measured_with(0.0, 0.1, 0.1, 0.8, 0.1).tolist() == [[0.7, 1.0, 10.0]]
    rising = measured_with(0.8, 0.1, 0.1, 0.1, 0.0)
    assert [value[0] for value in rising.tolist()] == pytest.approx([0.0, 0.6, 0.6, 0.7])


@pytest.fixture
def fitting(joint, problem):
    """Five pairs that fit, one that does not, and what they cost."""
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [joint.space.sample_genes(rng, 600), joint.accelerators.encode(joint.accelerators.sample(rng, 600))], axis=1
    )
    fits = problem.fits(rows)
    rows = np.concatenate([rows[fits][:5], rows[~fits][:1]])
    values = np.concatenate([VALUES, [[0.99, 0.5, 5.0]]])
    costs = {row.tobytes(): tuple(value[1:]) for row, value in zip(rows, values, strict=True)}
    return PricedPairs(rows, values), lambda row: costs[row.tobytes()]


def predicted(front):
    return Compared(front, "predictor")


@pytest.mark.parametrize(
    ("rule", "index"),
    [
        (Rule("within"), 3),
        (Rule("max_latency_ms", 3.5), 1),
        (Rule("min_accuracy", 0.91), 1),
        (Rule("min_accuracy", 0.975), 4),
    ],
)
@pytest.mark.parametrize("liar", range(5))
def test_a_pair_that_states_less_than_it_costs_wins_nothing(joint, fitting, rule, index, liar):
    pairs, price = fitting
    stated = pairs.values.copy()
    stated[liar, 1:] = 1e-3
    problem = StatedProblem(joint, load_coefficients(), price=price)
    chosen, compared = choose_priced(problem, PricedPairs(pairs.rows, stated), rule, predicted)
    assert joint.encode(chosen.pair).tolist() == joint.encode(joint.decode(pairs.rows[index])).tolist()
    assert [chosen.accuracy, chosen.latency_ms, chosen.energy_mj] == VALUES[index].tolist()
    assert chosen.rule == str(rule)
    assert compared.source == "predictor"


def test_a_pair_that_cannot_be_mapped_wins_nothing(joint, fitting):
    pairs, price = fitting
    best = pairs.rows[4].tobytes()

    def choose(price):
        return choose_priced(StatedProblem(joint, load_coefficients(), price=price), pairs, Rule("within"), predicted)

    chosen, _ = choose(lambda row: (np.inf, np.inf) if row.tobytes() == best else price(row))
    assert [chosen.accuracy, chosen.latency_ms, chosen.energy_mj] == VALUES[3].tolist()
    with pytest.raises(InfeasibleError, match="no feasible pair was found"):
        choose(lambda row: (np.inf, np.inf))


def test_spread_takes_the_best_of_each_objective_and_fills_gaps():
    rng = np.random.default_rng(1)
    crowd = np.stack([rng.normal(0.5, 1e-4, 200), rng.normal(5, 1e-3, 200), rng.normal(5, 1e-3, 200)], axis=1)
    corners = np.array([[0.9, 9.0, 9.0], [0.4, 1.0, 6.0], [0.45, 6.0, 1.0]])
    chosen = spread(np.concatenate([crowd, corners]), 4)
    assert {200, 201, 202} < set(chosen.tolist())
    assert len(chosen) == 4


def test_spread_of_few_takes_all():
    assert spread(VALUES, 10).tolist() == [0, 1, 2, 3, 4]
