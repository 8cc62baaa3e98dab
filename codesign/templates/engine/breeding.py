"""Batches of subnets and accelerators, drawn or bred from pairs already found; vectorised over the batch.

They may be limited to a part of the joint space, where somebody has fixed or narrowed some of its parameters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import BaseDistribution

from codesign.search.evolution import breed, unique_rows
from codesign.search.joint_space import JointSpace, choice_index
from codesign.search.pareto import MAXIMISED, PricedPairs
from codesign.templates.engine.pricing import PairPricer
from cost_models.resources import RESOURCES
from hw_templates.conv_engine.accelerator import is_legal
from hw_templates.foundation.arrays import BoolArray, IntArray
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError

_DRAWS = 200
_CHILDREN_PER_ACCELERATOR = 16
_EXTREME_SHARE = 0.3
_END_PAIRS = 8
_SCREENING_SUBNETS = 4
# Random pairs of the first round are better spent on what is bred, unless they are a small part of all.
_PAIRS_PER_FIRST_ACCELERATOR = 1000
_SHARES = ("immigrants", "mutation_rate")


@dataclass(frozen=True, kw_only=True)
class RoundPlan:
    """Shares of the batches of a round.

    Attributes:
        subnets: in a batch; more where there are fewer accelerators.
        accelerators: in a batch; in most rounds they are taken from the archive, whose layers are mostly priced.
        new_accelerators: in the batch of every ``new_period``-th round, bred or drawn.
        new_period: see there.
        first_accelerators: drawn in the first round; a search that starts from few may settle on a poor array.
        immigrants: share of the subnets and of the new accelerators that are drawn at random.
        mutation_rate: chance of each gene of most children to change, twice that for accelerators.
        screened: accelerators bred or drawn for each new one; those that do best for a few subnets are taken. Few
            subnets have few layers to price, and good arrays are rare.
    """

    subnets: int = 64
    accelerators: int = 16
    new_accelerators: int = 32
    new_period: int = 12
    first_accelerators: int = 96
    immigrants: float = 0.15
    mutation_rate: float = 0.05
    screened: int = 8

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least, most, expected = (0, 1, "in 0..1") if name in _SHARES else (1, np.inf, "at least 1")
            if not least <= value <= most:
                raise InvalidValueError(f"round_plan.{name}", value, expected)

    @classmethod
    def of_budget(cls, pairs: int) -> "RoundPlan":
        """The plan of a search that prices ``pairs`` pairs: with few of them it starts from fewer accelerators."""
        most = pairs // _PAIRS_PER_FIRST_ACCELERATOR
        return cls(first_accelerators=min(cls.first_accelerators, max(cls.new_accelerators, most)))

    @property
    def subnets_per_new_accelerator(self) -> int:
        """Pairs priced for each new accelerator over ``new_period`` rounds, less those of the screening."""
        pairs = self.subnets * (self.new_accelerators + (self.new_period - 1) * self.accelerators)
        return -(-pairs // self.new_accelerators)


def allows(distribution: BaseDistribution, value: Any) -> bool:
    """Say whether ``value`` is one that ``distribution`` may give."""
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:
        return False


class NarrowedColumn(NamedTuple):
    """A column of which not every choice is open.

    Attributes:
        column: of a gene, counted from the first one; of a parameter of the accelerator, from the last one: -1.
        open: indices of the choices that are open, ascending; one or more.
        text: the parameter and these choices in words.
    """

    column: int
    open: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class Limits:
    """The part of a joint space in which some parameters have only some of their choices.

    Attributes:
        genes: columns of genotypes [n, G] that are narrowed, for :func:`moved`.
        template: columns of accelerators [n, P] that are narrowed, for the same.
    """

    genes: tuple[NarrowedColumn, ...] = ()
    template: tuple[NarrowedColumn, ...] = ()

    @classmethod
    def of(
        cls, joint: JointSpace[Any], search_space: Mapping[str, BaseDistribution], fixed: Mapping[str, Any]
    ) -> "Limits":
        """Those of ``fixed`` values, and else of the distributions of ``search_space``; both may leave names out.

        Raises:
            InvalidValueError: a fixed value is none of the parameter's choices.
        """
        narrowed: tuple[list[NarrowedColumn], list[NarrowedColumn]] = [], []
        for column, (name, choices) in enumerate(joint.parameters):
            if name in fixed:
                indices = [choice_index(f"params.{name}", fixed[name], choices)]
            else:
                among = search_space.get(name, joint.distributions[name])
                indices = [index for index, choice in enumerate(choices) if allows(among, choice)]
            if 0 < len(indices) < len(choices):
                in_template = column >= joint.gene_count
                text = f"{name} {' or '.join(str(choices[index]) for index in indices)}"
                place = column - len(joint.parameters) * in_template
                narrowed[in_template].append(NarrowedColumn(place, tuple(indices), text))
        return cls(tuple(narrowed[0]), tuple(narrowed[1]))

    def __str__(self) -> str:
        return ", ".join(each.text for each in (*self.genes, *self.template))

    def hold(self, joint: JointSpace[Any], rows: IntArray) -> BoolArray:
        """[n] which pairs of ``rows`` [n, G + P] have only open choices; those of absent blocks do not count."""
        present, inside = joint.present(rows), np.ones(len(rows), dtype=bool)
        for each in (*self.genes, *self.template):
            inside &= np.isin(rows[:, each.column], each.open) | ~present[:, each.column]
        return inside


EVERYTHING = Limits()


def moved(rows: IntArray, columns: Iterable[NarrowedColumn], rng: np.random.Generator) -> IntArray:
    """Rows with each choice that is not open replaced by a random one that is; not canonical, legal or not."""
    found = rows.copy()
    for each in columns:
        closed = ~np.isin(found[:, each.column], each.open)
        found[closed, each.column] = rng.choice(each.open, size=int(closed.sum()))
    return found


def breed_subnets(
    pricer: PairPricer,
    archive: PricedPairs,
    rng: np.random.Generator,
    plan: RoundPlan,
    count: int,
    limits: Limits = EVERYTHING,
) -> IntArray:
    """At most ``count`` different genotypes [n, G]: bred from the pairs of ``archive``, and immigrants.

    All are within the limits. From an empty archive they are all drawn, but for the smallest and the largest subnet,
    which anchor the front.
    """
    joint, space, sizes = pricer.joint, pricer.joint.space, pricer.joint.space.gene_sizes
    if len(archive):
        immigrants = max(1, round(plan.immigrants * count))
        parents = _pick_parents(rng, archive, 2 * count)
        genes = parents[:, : joint.gene_count]
        # Genes of absent blocks say nothing: random ones keep crossover from favouring choice 0.
        free = ~joint.present(parents)[:, : joint.gene_count]
        children = breed(np.where(free, rng.integers(sizes, size=genes.shape), genes), sizes, rng, plan.mutation_rate)
        rows = np.concatenate([space.sample_genes(rng, immigrants), children])
    else:
        rows = np.concatenate([np.outer([0, 1], sizes - 1), space.sample_genes(rng, count)])
    return unique_rows(space.canonical(moved(rows, limits.genes, rng)))[:count]


def veteran_accelerators(
    pricer: PairPricer, archive: PricedPairs, rng: np.random.Generator, plan: RoundPlan
) -> IntArray:
    """At most ``plan.accelerators`` different accelerators [A, P] of the archive."""
    known = unique_rows(archive.rows[:, pricer.joint.gene_count :])
    chosen: IntArray = known[rng.permutation(len(known))[: plan.accelerators]]
    return chosen


def breed_accelerators(
    pricer: PairPricer,
    archive: PricedPairs,
    rng: np.random.Generator,
    plan: RoundPlan,
    count: int,
    limits: Limits = EVERYTHING,
) -> tuple[IntArray, IntArray]:
    """(accelerators that are legal, fit and are not in the archive [A, P], legal children that do not fit [m, P]).

    All are within the limits. There are ``count`` of the former, or fewer where breeding repeats itself; from an empty
    archive they are drawn.

    Raises:
        InfeasibleError: no accelerator fits the board.
    """
    space = pricer.joint.accelerators
    if not len(archive):
        return draw_fitting(pricer, rng, count, limits), archive.rows[:, pricer.joint.gene_count :]
    parents = _pick_parents(rng, archive, 2 * _CHILDREN_PER_ACCELERATOR * count)
    genes = pricer.joint.gene_count
    bred = breed(parents[:, genes:], pricer.joint.sizes[genes:], rng, 2 * plan.mutation_rate)
    children = unique_rows(moved(bred, limits.template, rng))
    children = children[is_legal(space.decode(children))]
    fits = (pricer.excess(space.decode(children)) <= 0).all(axis=1)
    immigrants = draw_fitting(pricer, rng, rng.binomial(count, plan.immigrants), limits)
    candidates = unique_rows(np.concatenate([immigrants, rng.permutation(children[fits])]))
    known = unique_rows(archive.rows[:, genes:])
    is_new = ~(candidates[:, None] == known[None]).all(axis=2).any(axis=1)
    return candidates[is_new][:count], children[~fits]


def promising_accelerators(
    pricer: PairPricer, archive: PricedPairs, rng: np.random.Generator, plan: RoundPlan, limits: Limits = EVERYTHING
) -> tuple[IntArray, IntArray]:
    """Return the most promising of ``plan.screened`` times as many accelerators as :func:`breed_accelerators` breeds.

    They are priced for ``_SCREENING_SUBNETS`` subnets, parents where there is an archive. An accelerator is as
    promising as it comes near to the best of the others in latency, energy or their product, for any of the subnets.
    """
    wanted = plan.new_accelerators if len(archive) else plan.first_accelerators
    fitting, misfits = breed_accelerators(pricer, archive, rng, plan, plan.screened * wanted, limits)
    if plan.screened == 1 or not len(fitting):
        return fitting, misfits
    if len(archive):
        subnets = _pick_parents(rng, archive, _SCREENING_SUBNETS)[:, : pricer.joint.gene_count]
    else:
        subnets = breed_subnets(pricer, archive, rng, plan, _SCREENING_SUBNETS, limits)
    latency, energy = (np.log(values) for values in pricer.price(subnets, fitting))
    losses = np.concatenate([latency, energy, latency + energy])
    least = losses.min(axis=1, keepdims=True)
    behind = (losses - np.where(np.isfinite(least), least, 0)).min(axis=0)
    return fitting[np.argsort(behind, kind="stable")[:wanted]], misfits


def draw_fitting(pricer: PairPricer, rng: np.random.Generator, count: int, limits: Limits = EVERYTHING) -> IntArray:
    """[count, P] accelerators drawn from those that are legal, fit the board and are within the limits.

    Without limits they are drawn uniformly.

    Raises:
        InfeasibleError: of many, none fits; says which resource binds and what the nearest one needs.
    """
    space, available = pricer.joint.accelerators, pricer.joint.available
    fitting = np.zeros((0, len(space.genes)), dtype=np.int64)
    nearest = (np.inf, "none is legal")
    for _ in range(_DRAWS):
        if len(fitting) >= count:
            return fitting[:count]
        drawn = moved(space.encode(space.sample(rng, 8 * count + 64)), limits.template, rng)
        drawn = drawn[is_legal(space.decode(drawn))]
        if not len(drawn):
            continue
        excess = pricer.excess(space.decode(drawn))
        fitting = np.concatenate([fitting, drawn[(excess <= 0).all(axis=1)]])
        shares = excess / np.maximum(available, 1)
        row = int(shares.max(axis=1).argmin())
        binding = int(shares[row].argmax())
        needs = f"{excess[row, binding] + available[binding]} {RESOURCES[binding]} of {available[binding]}"
        nearest = min(nearest, (float(shares[row, binding]), f"the nearest needs {needs}"))
    within = f" with {limits}" if limits.template else ""
    raise InfeasibleError(f"no accelerator found that fits {space.board.name}{within}: {nearest[1]}")


def _pick_parents(rng: np.random.Generator, archive: PricedPairs, count: int) -> IntArray:
    """``count`` rows of the archive, drawn with replacement; ``_EXTREME_SHARE`` of them among its ends.

    An end is the best few in one objective: few pairs lie there, and they stretch the front.
    """
    best_first = np.argsort(archive.values * np.where(MAXIMISED, -1, 1), axis=0, kind="stable")
    ends = best_first[:_END_PAIRS][rng.integers(min(_END_PAIRS, len(archive)), size=count), rng.integers(3, size=count)]
    anywhere = rng.integers(len(archive), size=count)
    picked: IntArray = archive.rows[np.where(rng.random(count) < _EXTREME_SHARE, ends, anywhere)]
    return picked
