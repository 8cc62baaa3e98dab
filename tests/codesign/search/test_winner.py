import numpy as np
import pytest

from codesign.search.pareto import PricedPairs
from codesign.search.winner import (
    BestAccuracyWithin,
    Knee,
    LeastLatencyAbove,
    choose_winner,
    measure_front,
    rule_of,
    spread,
)
from hw_templates.errors import InfeasibleError, InvalidValueError

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
        (BestAccuracyWithin(1.0), 0),
        (BestAccuracyWithin(3.5), 1),  # of two with 0.94 the faster
        (BestAccuracyWithin(100.0), 4),
        (LeastLatencyAbove(0.91), 1),
        (LeastLatencyAbove(0.97), 3),
        (LeastLatencyAbove(0.0), 0),
        # Scaled losses by hand: squared distances to the ideal are 1, .41, .53, .87 and 2 to two digits.
        (Knee(), 1),
    ],
)
def test_rules_choose_by_their_statement(joint, front, rule, index):
    winner = choose_winner(joint, front, rule)
    assert (winner.accuracy, winner.latency_ms, winner.energy_mj) == tuple(VALUES[index])
    assert winner.pair == joint.decode(front.rows[index])
    assert winner.rule == str(rule)


def test_knee_is_nearest_to_the_ideal_by_hand(front):
    losses = []
    for accuracy, latency_ms, energy_mj in VALUES:
        scaled = (
            (0.98 - accuracy) / 0.08,
            np.log(latency_ms) / np.log(8),
            np.log(energy_mj / 10) / np.log(6),
        )
        losses.append(sum(loss**2 for loss in scaled))
    assert Knee().choose(front) == int(np.argmin(losses))


def test_latency_limit_none_meets_says_so_and_names_the_nearest(joint, front):
    with pytest.raises(InfeasibleError, match=r"latency_ms: no pair of 5 is within 0\.5 ms; the nearest is 1 ms with"):
        choose_winner(joint, front, BestAccuracyWithin(0.5))


def test_accuracy_floor_none_meets_says_so_and_names_the_nearest(joint, front):
    with pytest.raises(InfeasibleError, match=r"accuracy: no pair of 5 reaches 99\.00%; the nearest is 8 ms with 98"):
        choose_winner(joint, front, LeastLatencyAbove(0.99))


def test_an_empty_front_has_no_winner(joint, front):
    with pytest.raises(InfeasibleError, match="no feasible pair was found"):
        choose_winner(joint, front.take(np.zeros(5, dtype=bool)), Knee())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BestAccuracyWithin(0.0), r"rule\.latency_ms: must be positive and finite, got 0\.0"),
        (lambda: LeastLatencyAbove(97.0), r"rule\.accuracy: must be in 0\.\.1, got 97\.0"),
        (lambda: spread(VALUES, 2), r"spread\.count: must be at least 3"),
    ],
)
def test_bad_limits_are_named(make, message):
    with pytest.raises(InvalidValueError, match=message):
        make()


def test_a_limit_makes_a_rule_and_none_the_knee():
    assert rule_of(2.0, None) == BestAccuracyWithin(2.0)
    assert rule_of(None, 0.9) == LeastLatencyAbove(0.9)
    assert rule_of(None, None) == Knee()
    with pytest.raises(InvalidValueError, match="min_accuracy: must be left out where max_latency_ms is given"):
        rule_of(2.0, 0.9)


class CountingOracle:
    """Accuracy 0.5, but 0.9 for the least depth; counts what it is asked."""

    def __init__(self):
        self.asked = 0

    def accuracy(self, genes):
        assert len(np.unique(genes, axis=0)) == len(genes)
        self.asked += len(genes)
        return np.where(genes[:, 1] == 0, 0.9, 0.5)


def test_measuring_replaces_accuracy_and_drops_what_is_dominated_now(joint, front):
    rows = front.rows.copy()
    rows[:, 1] = [0, 1, 1, 1, 0]
    rows[4, : joint.gene_count] = rows[0, : joint.gene_count]
    oracle = CountingOracle()
    measured = measure_front(joint, PricedPairs(rows, VALUES), oracle, most=5)
    # The fastest pair is as cheap as any and now as accurate: it alone remains.
    assert measured.values.tolist() == [[0.9, 1.0, 10.0]]
    assert oracle.asked == 4


def test_spread_takes_the_best_of_each_objective_and_fills_gaps():
    rng = np.random.default_rng(1)
    crowd = np.stack([rng.normal(0.5, 1e-4, 200), rng.normal(5, 1e-3, 200), rng.normal(5, 1e-3, 200)], axis=1)
    corners = np.array([[0.9, 9.0, 9.0], [0.4, 1.0, 6.0], [0.45, 6.0, 1.0]])
    chosen = spread(np.concatenate([crowd, corners]), 4)
    assert {200, 201, 202} < set(chosen.tolist())
    assert len(chosen) == 4


def test_spread_of_few_takes_all():
    assert spread(VALUES, 10).tolist() == [0, 1, 2, 3, 4]
