"""Latency, energy and resources of many pairs at once, from prices of their layers."""

from functools import cached_property

import numpy as np
from scipy import sparse

from codesign.search.joint_space import JointSpace
from codesign.search.problem import SearchProgress
from codesign.supernet.lowering.workloads import LayerIndex
from cost_models.closed_form.estimate import network_energy_mj, network_latency_cycles
from cost_models.closed_form.fusion import BlockIndex
from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import Coefficients
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.conv_engine.accelerator import AcceleratorColumns, is_legal
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.arrays import BoolArray, FloatArray, IntArray


class PairPricer:
    """Prices subnets x accelerators of a joint space.

    Each layer or block that occurs is priced once on each accelerator (that is the costly part, and it is cached); a
    subnet is then a sum of looked-up numbers.

    Attributes:
        joint: the joint space; its board is the one priced for.
        coefficients: of the cost model.
        pairs: how many pairs were priced so far.
        candidates: how many (layer, accelerator, mapping) candidates were priced so far.
    """

    def __init__(self, joint: JointSpace[AcceleratorSpace], coefficients: Coefficients) -> None:
        self.joint = joint
        self.coefficients = coefficients
        self.pairs = 0
        self.candidates = 0
        # [2, L] or [2, L + K] cycles and mJ of layers and blocks on an accelerator; nan where not priced yet.
        self._item_costs: dict[bytes, FloatArray] = {}

    @cached_property
    def _index(self) -> LayerIndex:
        return LayerIndex(self.joint.space)

    @property
    def done(self) -> SearchProgress:
        """Counts of everything priced so far."""
        return SearchProgress(0, self.pairs, self.candidates, self.accelerators)

    @property
    def accelerators(self) -> int:
        """On how many different accelerators something was priced so far."""
        return len(self._item_costs)

    def price(self, genes: IntArray, accelerators: IntArray) -> tuple[FloatArray, FloatArray]:
        """(latency_ms, energy_mj), each [n, A], of subnets ``genes`` [n, G] on ``accelerators`` [A, P].

        Both are choice indices; the accelerators must be legal. Both results are inf where a layer has no legal
        mapping.
        """
        places, costs = self.segment_table(genes, accelerators)
        sums = np.zeros((2, len(genes), len(accelerators)))
        for column in places.T:
            sums += costs[:, column]
        layer_cycles, dynamic_mj = sums
        self.pairs += layer_cycles.size
        board, coefficients = self.joint.board, self.coefficients
        clock_mhz = self.joint.accelerators.decode(accelerators).clock_mhz
        latency_ms = network_latency_cycles(layer_cycles, coefficients) / (clock_mhz * 1e3)
        return latency_ms, network_energy_mj(dynamic_mj, latency_ms, board)

    def segment_table(self, genes: IntArray, accelerators: IntArray) -> tuple[IntArray, FloatArray]:
        """Return (row of each segment [n, segments], costs [2, rows, A]): the subnets as rows of a table of prices.

        The costs are latency in cycles and dynamic energy in mJ, to be summed over a subnet's segments.
        """
        segments = self._index.segments(genes)
        used = np.flatnonzero(np.bincount(segments.ravel()))
        costs = np.empty((2, len(used), len(accelerators)))
        # Where maps can stay on chip, an inverted residual is priced as one; elsewhere it is the sum of its layers.
        keeps = self.joint.accelerators.decode(accelerators).map_kib > 0
        for chosen, items in ((~keeps, self._index.segment_layers), (keeps, self._index.segment_items)):
            if chosen.any():
                costs[:, :, chosen] = self._sums(items[used], accelerators[chosen])
        return np.searchsorted(used, segments), costs

    def _sums(self, items: sparse.csr_array, accelerators: IntArray) -> FloatArray:
        """Return [2, p, A] costs of sums of items, each a layer or a block."""
        keys = [row.tobytes() for row in accelerators]
        unpriced = np.full((2, items.shape[1]), np.nan)
        costs = np.stack([self._item_costs.get(key, unpriced) for key in keys], axis=2)
        missing = np.isnan(costs[0])
        missing[np.setdiff1d(np.arange(len(missing)), items.indices)] = False
        if missing.any():
            costs[:, missing] = self._price(accelerators, missing)
            for index in np.flatnonzero(missing.any(axis=0)):
                self._item_costs[keys[index]] = costs[:, :, index].copy()
        return np.stack([items @ costs[0], items @ costs[1]])

    def _price(self, accelerators: IntArray, wanted: BoolArray) -> FloatArray:
        """[2, n] cycles and mJ of the layers and blocks x accelerators that are wanted, [L, A] or [L + K, A]."""
        index, board = self._index, self.joint.board
        columns = self.joint.accelerators.decode(accelerators)
        of_layers, of_blocks = np.split(wanted, [len(index.layers)])
        table = price_layers(index.layers, columns, board, self.coefficients, of_layers)
        self.candidates += table.candidates
        costs = [np.stack([table.latency_cycles[of_layers], table.energy_mj[of_layers]])]
        used = np.flatnonzero(of_blocks.any(axis=1))
        if len(used):
            of_blocks = of_blocks[used]
            blocks = BlockIndex([index.blocks[block] for block in used]).price(
                columns, board, self.coefficients, of_blocks
            )
            self.candidates += blocks.candidates
            costs.append(np.stack([blocks.latency_cycles[of_blocks], blocks.energy_mj[of_blocks]]))
        return np.concatenate(costs, axis=1)

    def excess(self, accelerators: AcceleratorColumns) -> IntArray:
        """Return [A, 5] the excess of each accelerator over the board, as ``RESOURCES`` orders it; 0 or less fits."""
        needs = estimate_resources(accelerators, self.joint.board, self.coefficients.implementation)
        wanted: IntArray = np.stack([getattr(needs, name) for name in RESOURCES], axis=1)
        return wanted - self.joint.available

    def fits(self, rows: IntArray) -> BoolArray:
        """Return [n] which pairs of rows [n, G + P] are legal and within the board's resources."""
        accelerators: AcceleratorColumns = self.joint.designs(rows)
        fits = is_legal(accelerators)
        fits[fits] = (self.excess(accelerators.take(fits)) <= 0).all(axis=1)
        return fits
