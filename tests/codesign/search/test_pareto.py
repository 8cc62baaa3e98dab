from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.search.pareto import PricedPairs, ReferencePoint, check_front, concatenate, nondominated
from hw_templates.foundation.errors import InvalidValueError


def dominates(a, b):
    """By the definition, one pair at a time: accuracy up, latency and energy down."""
    gains = (a[0] - b[0], b[1] - a[1], b[2] - a[2])
    return all(gain >= 0 for gain in gains) and any(gain > 0 for gain in gains)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=40))
def test_nondominated_is_the_definition(points):
    values = np.array(points, dtype=float)
    expected = [
        not any(dominates(other, value) for other in points) and value not in points[:index]
        for index, value in enumerate(points)
    ]
    assert nondominated(values).tolist() == expected


def test_front_is_sorted_by_latency_and_keeps_rows_with_values():
    rng = np.random.default_rng(3)
    values = rng.random((500, 3))
    pairs = PricedPairs(np.arange(500)[:, None].repeat(4, axis=1), values)
    front = pairs.front()
    assert (np.diff(front.latency_ms) >= 0).all()
    assert np.array_equal(values[front.rows[:, 0]], front.values)
    assert set(front.rows[:, 0]) == set(np.flatnonzero(nondominated(values)))


def test_front_of_parts_is_front_of_all():
    rng = np.random.default_rng(4)
    parts = [PricedPairs(rng.integers(9, size=(100, 4)), rng.random((100, 3))) for _ in range(3)]
    whole = concatenate(parts).front()
    stepwise = concatenate([concatenate(parts[:2]).front(), parts[2]]).front()
    assert np.array_equal(whole.values, stepwise.values)
    assert np.array_equal(whole.rows, stepwise.rows)


def test_no_pairs_have_an_empty_front():
    nothing = PricedPairs(np.zeros((0, 4), dtype=np.int64), np.zeros((0, 3)))
    assert len(nothing.front()) == len(nothing.without(set())) == 0
    assert ReferencePoint(0.5, 1.0, 1.0).hypervolume(nothing.values) == 0


def test_what_is_known_is_left_out():
    pairs = PricedPairs(np.arange(12).reshape(3, 4), np.full((3, 3), 0.5))
    assert pairs.without(pairs.keys[1:]).rows.tolist() == [[0, 1, 2, 3]]


def test_hypervolume_of_two_boxes_by_hand():
    reference = ReferencePoint(accuracy=0.5, latency_ms=10.0, energy_mj=4.0)
    # Scaled losses (0.5, 0.2, 0.5) and (0.2, 0.5, 0.5): boxes of 0.2 each, sharing 0.5 * 0.5 * 0.5.
    values = np.array([[0.75, 2.0, 2.0], [0.9, 5.0, 2.0]])
    assert reference.hypervolume(values) == pytest.approx(0.2 + 0.2 - 0.125)


def test_hypervolume_agrees_with_counting_cells():
    reference = ReferencePoint(accuracy=0.0, latency_ms=1.0, energy_mj=1.0)
    steps = 8
    losses = np.random.default_rng(5).integers(0, steps + 2, size=(12, 3)) / steps
    values = np.stack([1 - losses[:, 0], losses[:, 1], losses[:, 2]], axis=1)
    corners = np.array(list(product(range(1, steps + 1), repeat=3))) / steps
    dominated = (losses[None] < corners[:, None]).all(axis=2).any(axis=1)
    assert reference.hypervolume(values) == pytest.approx(dominated.sum() / steps**3)


def test_points_beyond_the_reference_count_nothing():
    reference = ReferencePoint(accuracy=0.9, latency_ms=1.0, energy_mj=1.0)
    assert reference.hypervolume(np.array([[0.8, 0.1, 0.1], [0.95, 2.0, 0.1]])) == 0.0


@pytest.mark.parametrize(
    ("field", "values"), [("accuracy", (1.0, 1, 1)), ("latency_ms", (0.5, 0, 1)), ("energy_mj", (0.5, 1, np.inf))]
)
def test_reference_point_names_the_wrong_field(field, values):
    with pytest.raises(InvalidValueError, match=f"reference_point.{field}"):
        ReferencePoint(*values)


def test_rows_and_values_must_match():
    with pytest.raises(InvalidValueError, match="as many as the 2 rows"):
        PricedPairs(np.zeros((2, 3), dtype=np.int64), np.zeros((3, 3)))


REAL = [0.5, 0.5, 0.5]
NOT_FINITE = [(column, value) for column in range(3) for value in (np.nan, np.inf, -np.inf)]


@pytest.mark.parametrize(("column", "value"), NOT_FINITE)
def test_what_is_not_finite_has_no_front_and_no_volume(column, value):
    values = np.array([REAL, REAL, REAL])
    values[1, column] = value
    with pytest.raises(InvalidValueError, match=r"values\[1\]: must be finite, got \["):
        ReferencePoint(0.0, 1.0, 1.0).hypervolume(values)
    with pytest.raises(InvalidValueError, match=r"values\[1\]: must be finite, got \["):
        nondominated(values)
    with pytest.raises(InvalidValueError, match=r"front\[1\]\."):
        check_front(values)


@pytest.mark.parametrize("row", [[1.5, 0.5, 0.5], [0.5, -1.0, 0.5], [0.5, 0.5, -1.0]])
def test_what_is_better_than_the_best_corner_has_no_volume(row):
    with pytest.raises(InvalidValueError, match=r"values\[1\]: must be no better than \(1, 0 ms, 0 mJ\)"):
        ReferencePoint(0.0, 1.0, 1.0).hypervolume(np.array([REAL, row]))


@pytest.mark.parametrize("values", [[], [[0.5, 0.5]], [0.5, 0.5, 0.5]])
def test_a_front_has_rows_of_three_values(values):
    with pytest.raises(InvalidValueError, match="front: must be rows of accuracy, latency_ms, energy_mj, got"):
        check_front(np.array(values))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        *((column, value, "") for column, value in NOT_FINITE),
        (0, 7.5, r"accuracy: must be in 0\.\.1, got 7\.5"),
        (0, -0.5, r"accuracy: must be in 0\.\.1, got -0\.5"),
        (1, 0.0, r"latency_ms: must be positive and finite, got 0\.0"),
        (2, -3.0, r"energy_mj: must be positive and finite, got -3\.0"),
    ],
)
def test_impossible_values_make_no_pairs(column, value, message):
    values = np.array([REAL, REAL, REAL])
    values[2, column] = value
    with pytest.raises(InvalidValueError, match=r"priced_pairs\.values\[2\]\." + message):
        PricedPairs(np.zeros((3, 4), dtype=np.int64), values)
    with pytest.raises(InvalidValueError, match=r"front\[2\]\." + message):
        check_front(values)
