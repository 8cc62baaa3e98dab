"""Batches of subnets and accelerators, drawn or bred from pairs already found; vectorised over the batch."""

from dataclasses import dataclass, replace

import numpy as np

from codesign.search.genetics import breed, unique_rows
from codesign.search.pareto import MAXIMISED, PricedPairs
from codesign.templates.engine.limits import EVERYTHING, Limits
from codesign.templates.engine.pricing import PairPricer
from cost_models.resources import RESOURCES
from hw_templates.conv_engine.accelerator import is_legal
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError

_DRAWS = 200
_CHILDREN_PER_ACCELERATOR = 16
_EXTREME_SHARE = 0.3
_END_PAIRS = 8
_SCREENING_SUBNETS = 4
# Random pairs of the first round are better spent on what is bred, unless they are a small part of all.
_PAIRS_PER_FIRST_ACCELERATOR = 1000


@dataclass(frozen=True, kw_only=True)
class RoundPlan:
    """How the batches of a round are made up.

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
        for name in ("subnets", "accelerators", "new_accelerators", "new_period", "first_accelerators", "screened"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"round_plan.{name}", getattr(self, name), "at least 1")
        for name in ("immigrants", "mutation_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidValueError(f"round_plan.{name}", getattr(self, name), "in 0..1")

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
    joint, space = pricer.joint, pricer.joint.space
    if not len(archive):
        ends = np.stack([space.encode(space.smallest()), space.encode(space.largest())])
        first = np.concatenate([ends, space.sample_genes(rng, count)])
        return unique_rows(space.canonical(limits.move_genes(first, rng)))[:count]
    immigrants = max(1, round(plan.immigrants * count))
    parents = _pick_parents(rng, archive, 2 * count)
    sizes = space.gene_sizes
    genes = parents[:, : joint.gene_count]
    # Genes of absent blocks say nothing: random ones keep crossover from favouring choice 0.
    free = ~joint.present(parents)[:, : joint.gene_count]
    children = breed(np.where(free, rng.integers(sizes, size=genes.shape), genes), sizes, rng, plan.mutation_rate)
    bred = np.concatenate([space.sample_genes(rng, immigrants), children])
    return unique_rows(space.canonical(limits.move_genes(bred, rng)))[:count]


def veteran_accelerators(
    pricer: PairPricer, archive: PricedPairs, rng: np.random.Generator, plan: RoundPlan
) -> IntArray:
    """At most ``plan.accelerators`` different accelerators [A, P] of the archive."""
    known = unique_rows(archive.rows[:, pricer.joint.gene_count :])
    chosen: IntArray = known[rng.permutation(len(known))[: plan.accelerators]]
    return chosen


def breed_accelerators(
    pricer: PairPricer, archive: PricedPairs, rng: np.random.Generator, plan: RoundPlan, limits: Limits = EVERYTHING
) -> tuple[IntArray, IntArray]:
    """(accelerators that are legal, fit and are not in the archive [A, P], legal children that do not fit [m, P]).

    All are within the limits. There are ``plan.new_accelerators`` of the former, or fewer where breeding repeats
    itself; from an empty archive ``plan.first_accelerators`` are drawn.

    Raises:
        InfeasibleError: no accelerator fits the board.
    """
    space = pricer.joint.accelerators
    if not len(archive):
        return draw_fitting(pricer, rng, plan.first_accelerators, limits), np.zeros(
            (0, len(space.genes)), dtype=np.int64
        )
    parents = _pick_parents(rng, archive, 2 * _CHILDREN_PER_ACCELERATOR * plan.new_accelerators)
    sizes = np.array([len(choices) for _, choices in space.genes])
    bred = breed(parents[:, pricer.joint.gene_count :], sizes, rng, 2 * plan.mutation_rate)
    children = unique_rows(limits.move_accelerators(bred, rng))
    children = children[is_legal(space.decode(children))]
    fits = (pricer.excess(space.decode(children)) <= 0).all(axis=1)
    immigrants = draw_fitting(pricer, rng, rng.binomial(plan.new_accelerators, plan.immigrants), limits)
    candidates = unique_rows(np.concatenate([immigrants, rng.permutation(children[fits])]))
    known = unique_rows(archive.rows[:, pricer.joint.gene_count :])
    is_new = ~(candidates[:, None] == known[None]).all(axis=2).any(axis=1)
    return candidates[is_new][: plan.new_accelerators], children[~fits]


def promising_accelerators(
    pricer: PairPricer, archive: PricedPairs, rng: np.random.Generator, plan: RoundPlan, limits: Limits = EVERYTHING
) -> tuple[IntArray, IntArray]:
    """Return the most promising of ``plan.screened`` times as many accelerators as :func:`breed_accelerators` breeds.

    They are priced for ``_SCREENING_SUBNETS`` subnets, parents where there is an archive. An accelerator is as
    promising as it comes near to the best of the others in latency, energy or their product, for any of the subnets.
    """
    wanted = plan.new_accelerators if len(archive) else plan.first_accelerators
    many = {name: plan.screened * getattr(plan, name) for name in ("new_accelerators", "first_accelerators")}
    fitting, misfits = breed_accelerators(pricer, archive, rng, replace(plan, **many), limits)
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
    space = pricer.joint.accelerators
    fitting = np.zeros((0, len(space.genes)), dtype=np.int64)
    nearest = (np.inf, "none is legal")
    for _ in range(_DRAWS):
        if len(fitting) >= count:
            return fitting[:count]
        drawn = limits.move_accelerators(space.encode(space.sample(rng, 8 * count + 64)), rng)
        drawn = drawn[is_legal(space.decode(drawn))]
        if not len(drawn):
            continue
        excess = pricer.excess(space.decode(drawn))
        fitting = np.concatenate([fitting, drawn[(excess <= 0).all(axis=1)]])
        nearest = min(nearest, _nearest_misfit(pricer, excess))
    within = f" with {limits}" if limits.template else ""
    raise InfeasibleError(f"no accelerator found that fits {space.board.name}{within}: {nearest[1]}")


def _nearest_misfit(pricer: PairPricer, excess: IntArray) -> tuple[float, str]:
    """Of accelerators that exceed the board by ``excess`` [n, 5]: least share too much, and that in words."""
    available = np.array([getattr(pricer.joint.accelerators.board, name) for name in RESOURCES])
    shares = excess / np.maximum(available, 1)
    nearest = int(shares.max(axis=1).argmin())
    binding = int(shares[nearest].argmax())
    needs = int(excess[nearest, binding] + available[binding])
    return float(shares[nearest, binding]), f"the nearest needs {needs} {RESOURCES[binding]} of {available[binding]}"


def _pick_parents(rng: np.random.Generator, archive: PricedPairs, count: int) -> IntArray:
    """``count`` rows of the archive, drawn with replacement; ``_EXTREME_SHARE`` of them among its ends.

    An end is the best few in one objective: few pairs lie there, and they stretch the front.
    """
    best_first = np.argsort(archive.values * np.where(MAXIMISED, -1, 1), axis=0, kind="stable")
    ends = best_first[:_END_PAIRS][rng.integers(min(_END_PAIRS, len(archive)), size=count), rng.integers(3, size=count)]
    anywhere = rng.integers(len(archive), size=count)
    picked: IntArray = archive.rows[np.where(rng.random(count) < _EXTREME_SHARE, ends, anywhere)]
    return picked
