"""Latency, energy and resources of many pairs at once, by one priced layer table for each accelerator."""

import numpy as np

from codesign.search.joint_space import IntArray, JointSpace
from codesign.search.pareto import FloatArray
from codesign.supernet.lowering import LayerIndex
from cost_models.coefficients import Coefficients
from cost_models.estimate import network_energy_mj, network_latency_cycles, price_layers
from cost_models.resources import RESOURCES, estimate_resources, excess
from hw_templates.accelerator import AcceleratorColumns


class PairPricer:
    """Prices subnets x accelerators of a joint space.

    The layers of the whole space are priced once for each accelerator (that is the costly part, and it is cached);
    a subnet is then a sum of looked-up numbers.

    Attributes:
        joint: the joint space; its board is the one priced for.
        coefficients: of the cost model.
        pairs: how many pairs were priced so far.
        candidates: how many (layer, accelerator, mapping) candidates were priced so far.
    """

    def __init__(self, joint: JointSpace, coefficients: Coefficients) -> None:
        self.joint = joint
        self.coefficients = coefficients
        self.pairs = 0
        self.candidates = 0
        self._index = LayerIndex(joint.space)
        self._tables: dict[bytes, tuple[FloatArray, FloatArray]] = {}

    def price(self, genes: IntArray, accelerators: IntArray) -> tuple[FloatArray, FloatArray]:
        """(latency_ms, energy_mj), each [n, A], of subnets ``genes`` [n, G] on ``accelerators`` [A, 10].

        Both are choice indices; the accelerators must be legal. Both results are inf where a layer has no legal
        mapping.
        """
        cycles, energy_mj = self._piece_tables(accelerators)
        pieces = self._index.pieces(genes)
        layer_cycles = np.zeros((len(genes), len(accelerators)))
        dynamic_mj = np.zeros((len(genes), len(accelerators)))
        for column in pieces.T:
            layer_cycles += cycles[column]
            dynamic_mj += energy_mj[column]
        self.pairs += layer_cycles.size
        board, coefficients = self.joint.accelerators.board, self.coefficients
        clock_mhz = self.joint.accelerators.decode(accelerators).clock_mhz
        latency_ms = network_latency_cycles(layer_cycles, coefficients) / (clock_mhz * 1e3)
        return latency_ms, network_energy_mj(dynamic_mj, latency_ms, board)

    def _piece_tables(self, accelerators: IntArray) -> tuple[FloatArray, FloatArray]:
        """Latency in cycles and dynamic energy in mJ, each [pieces, A]."""
        keys = [row.tobytes() for row in accelerators]
        new = [index for index, key in enumerate(keys) if key not in self._tables]
        if new:
            self._price_tables([keys[index] for index in new], accelerators[new])
        tables = [self._tables[key] for key in keys]
        return np.stack([cycles for cycles, _ in tables], axis=1), np.stack([energy for _, energy in tables], axis=1)

    def _price_tables(self, keys: list[bytes], accelerators: IntArray) -> None:
        joint = self.joint
        table = price_layers(
            self._index.layers, joint.accelerators.decode(accelerators), joint.accelerators.board, self.coefficients
        )
        self.candidates += table.candidates
        cycles = self._index.piece_costs(table.latency_cycles)
        energy_mj = self._index.piece_costs(table.energy_mj)
        for index, key in enumerate(keys):
            self._tables[key] = (cycles[:, index].copy(), energy_mj[:, index].copy())

    def resources(self, accelerators: AcceleratorColumns) -> IntArray:
        """[A, 5] what each accelerator needs, in the order of ``RESOURCES``."""
        needs = estimate_resources(accelerators, self.joint.accelerators.board)
        return np.stack([getattr(needs, name) for name in RESOURCES], axis=1)

    def excess(self, accelerators: AcceleratorColumns) -> IntArray:
        """[A, 5] by how much each accelerator exceeds the board, in the order of ``RESOURCES``; 0 or less fits."""
        board = self.joint.accelerators.board
        beyond = excess(estimate_resources(accelerators, board), board)
        return np.stack([beyond[name] for name in RESOURCES], axis=1)
