"""Event-driven timing of a layer: a second opinion that shares no formula with the closed form.

It walks every tile of a step in loop order, keeps what the buffers hold, and plays each phase of each slot of the
pipeline: four ports (ifmap, weights, residual, ofmap) ask one DDR channel for bursts, cut into chunks as the AXI bus
does. The channel serves one chunk at a time, ports in turn; a port moves at most a word a cycle and has as many chunks
outstanding as its FIFO holds. Maps in the map memory move at the same time, a line a cycle. What fills or empties a
buffer that there is one of has a phase of its own. A layer that runs band by band is a step for each band.
"""

import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from cost_models.coefficients import Coefficients
from cost_models.engine.bands import band_of
from cost_models.engine.layer import engine_layer
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder
from hw_templates.board import Board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.isa import TABLE_BYTES

CHUNK_WORDS = 16
OUTSTANDING_CHUNKS = 16


@dataclass(frozen=True, kw_only=True)
class SimulatedLayer:
    """The cycles and pipeline iterations of a layer, and the words that each port moved, or lines of the map memory.

    Words are each port's own; without those of setup.

    Attributes:
        compute_cycles: in which the array worked.
        load_wait_cycles, store_wait_cycles: by how much slots lasted longer because of what was loaded, and stored; as
            :data:`hw_templates.conv_engine.isa.CYCLES` has them.
    """

    latency_cycles: float
    compute_cycles: float
    load_wait_cycles: float
    store_wait_cycles: float
    compute_iterations: int
    ifmap_words: int
    weight_words: int
    ofmap_words: int
    residual_words: int

    def __add__(self, other: "SimulatedLayer") -> "SimulatedLayer":
        return SimulatedLayer(**{name: value + getattr(other, name) for name, value in vars(self).items()})


@dataclass(frozen=True)
class _Tile:
    """One step: its output rows, columns and channels, and its input channels."""

    rows: range
    cols: range
    outputs: range
    inputs: range


@dataclass(frozen=True, kw_only=True)
class _Burst:
    """``count`` bursts of ``words`` each by a port, one after the other; or as many lines of the map memory.

    A word has ``width`` memory words.
    """

    port: str
    count: int
    words: int
    is_kept: bool = False
    width: int = 1

    @property
    def total(self) -> int:
        return self.count * self.words


def simulate(mapped: MappedLayer, accelerator: Accelerator, board: Board, coefficients: Coefficients) -> SimulatedLayer:
    """Run a layer whose mapping is legal on the accelerator: a step, or one for each of its bands.

    In each band of a group the layers around it have loaded other activation tables.

    Raises:
        UnsupportedLayerError, InvalidValueError, MappingError: it is not legal; see :meth:`Mapping.check`.
    """
    mapped.mapping.check(mapped.layer, accelerator)
    placement = mapped.placement
    tiled = TiledLayer(
        layer=engine_layer(mapped.layer, int(mapped.layer.residual)),
        mapping=mapped.mapping,
        shape=EngineShape(accelerator=accelerator),
    )
    total: SimulatedLayer | None = None
    # Most bands are alike.
    known: dict[tuple[TiledLayer, bool], SimulatedLayer] = {}
    for rows in placement.bands or ((0, mapped.layer.out_height),):
        if rows[0] < rows[1]:
            step = band_of(tiled, rows), total is None or placement.group_layers != 1
            if step not in known:
                known[step] = simulate_step(
                    step[0],
                    map_in=placement.ifmap_ring > 0,
                    map_out=placement.ofmap_ring > 0,
                    loads_table=step[1],
                    board=board,
                    coefficients=coefficients,
                )
            total = known[step] if total is None else total + known[step]
    assert total is not None
    return total


def simulate_step(
    tiled: TiledLayer, *, map_in: bool, map_out: bool, loads_table: bool, board: Board, coefficients: Coefficients
) -> SimulatedLayer:
    """Run one step of a program, alone: fetch what describes it, then run its slots.

    Args:
        tiled: the layer, or the smaller one that a band is, in tiles that the engine can run.
        map_in, map_out: whether the input and the output map lie in the map memory.
        loads_table: whether the activation table is loaded; else that of the step before stays.
        board: whose DDR the ports share.
        coefficients: timing of the ports and the pipeline.
    """
    return _Simulation(tiled, map_in, map_out, board, coefficients).run(loads_table)


def _cuts(axis: range, tile: int) -> list[range]:
    return [axis[start : start + tile] for start in range(0, len(axis), tile)]


class _Simulation:
    """The state of one step: what the buffers hold and what was moved so far."""

    def __init__(
        self, tiled: TiledLayer, map_in: bool, map_out: bool, board: Board, coefficients: Coefficients
    ) -> None:
        self.layer, self.mapping, self.map_in, self.map_out = tiled.layer, tiled.mapping, map_in, map_out
        self.accelerator = accelerator = tiled.shape.accelerator
        self.word = accelerator.axi_bytes
        self.weight_word = accelerator.weight_port_bytes
        self.dense = self.layer.operation.is_dense
        self.timing = coefficients.latency
        bytes_per_second = board.ddr.plan_gb_s * 1e9 * coefficients.latency.ddr_efficiency
        self.service = self.word / (bytes_per_second / (accelerator.clock_mhz * 1e6))
        self.moved = {"ifmap": 0, "weight": 0, "ofmap": 0, "residual": 0}
        self.spent = {"compute": 0.0, "load_wait": 0.0, "store_wait": 0.0}
        self.known_phases: dict[tuple[_Burst, ...], dict[str, float]] = {}

    def run(self, loads_table: bool) -> SimulatedLayer:
        """Fetch what describes the step; then slot i loads tile i, computes i - 1 and stores what i - 2 finished."""
        cycles = self._setup(loads_table)
        held: dict[str, tuple[range, ...] | None] = {"ifmap": None, "weight": None}
        iterations = 0
        tiles: list[_Tile | None] = [*self._tiles(), None, None]
        computing = storing = None
        for loading in tiles:
            transfers, computed = [], 0
            if loading is not None:
                transfers += self._loads(loading, held)
            if computing is not None:
                computed = self._iterations(computing)
                iterations += computed
                if self.layer.residual and self._finishes(computing):
                    transfers.append(self._move(self._results(computing, "residual")))
            if storing is not None and self._finishes(storing):
                transfers.append(self._move(self._results(storing, "ofmap")))
            busy = math.ceil(computed + self.timing.pipeline_depth_cycles) if computing is not None else 0
            cycles += self._slot(transfers, busy) + self.timing.slot_overhead_cycles
            computing, storing = loading, computing
        return SimulatedLayer(
            latency_cycles=cycles,
            compute_cycles=self.spent["compute"],
            load_wait_cycles=self.spent["load_wait"],
            store_wait_cycles=self.spent["store_wait"],
            compute_iterations=iterations,
            **{f"{port}_words": words for port, words in self.moved.items()},
        )

    def _slot(self, transfers: list[_Burst], busy: int) -> float:
        """Return the cycles of a slot: an early store, the computation with all that it hides, late loads."""
        single = [port for port in ("ifmap", "weight", "ofmap") if getattr(self.accelerator, f"{port}_buffers") == 1]
        late = self._phase(tuple(burst for burst in transfers if burst.port in single and burst.port != "ofmap"))
        early = self._phase(tuple(burst for burst in transfers if burst.port in single and burst.port == "ofmap"))
        middle = self._phase(tuple(burst for burst in transfers if burst.port not in single))
        loaded = max([busy, *(ends for port, ends in middle.items() if port != "ofmap")])
        stored = middle.get("ofmap", 0.0)
        self.spent["compute"] += busy
        self.spent["load_wait"] += loaded - busy + max(late.values(), default=0.0)
        self.spent["store_wait"] += max(stored - loaded, 0.0) + early.get("ofmap", 0.0)
        return max(loaded, stored) + sum(max(phase.values(), default=0.0) for phase in (early, late))

    def _tiles(self) -> Iterator[_Tile]:
        layer, mapping = self.layer, self.mapping
        rows = _cuts(range(layer.out_height), mapping.tile_height)
        cols = _cuts(range(layer.out_width), mapping.tile_width)
        outputs = _cuts(range(layer.out_channels), mapping.tile_out_channels)
        inputs = _cuts(range(layer.in_channels), mapping.tile_in_channels)
        if mapping.loop_order == LoopOrder.INPUTS_OUTER:
            for h, w, n, m in itertools.product(rows, cols, inputs, outputs):
                yield _Tile(h, w, m, n)
            return
        outer = itertools.product(rows, cols, outputs)
        if mapping.loop_order == LoopOrder.CHANNELS_OUTER:
            outer = ((h, w, m) for m, h, w in itertools.product(outputs, rows, cols))  # type: ignore[assignment]
        for h, w, m in outer:
            for n in inputs if self.dense else [m]:
                yield _Tile(h, w, m, n)

    def _finishes(self, tile: _Tile) -> bool:
        is_last = not self.dense or tile.inputs.stop == self.layer.in_channels
        return is_last and (not self._keeps_sums or tile.outputs.stop == self.layer.out_channels)

    @property
    def _keeps_sums(self) -> bool:
        return self.mapping.loop_order == LoopOrder.INPUTS_OUTER

    def _move(self, burst: _Burst) -> _Burst:
        self.moved[burst.port] += burst.total
        return burst

    def _loads(self, tile: _Tile, held: dict[str, tuple[range, ...] | None]) -> list[_Burst]:
        """Return the loads for a tile, given what the buffers hold; ``held`` is brought up to date."""
        wanted = {"ifmap": (tile.rows, tile.cols, tile.inputs), "weight": (tile.outputs, tile.inputs)}
        bursts = {"ifmap": self._ifmap, "weight": self._weights}
        loads = []
        for port, key in wanted.items():
            if held[port] != key:
                held[port] = key
                burst = bursts[port](tile)
                if burst.total:
                    loads.append(self._move(burst))
        return loads

    def _ifmap(self, tile: _Tile) -> _Burst:
        layer = self.layer
        heights, widths = self._inside(tile.rows, 0), self._inside(tile.cols, 1)
        if self.map_in:
            return self._lines("ifmap", heights * widths, tile.inputs, self.accelerator.pe_cols)
        together = 0 if layer.repeat else layer.in_channels  # each pixel of a repeated map is read twice
        return self._bursts("ifmap", heights, widths, tile.inputs, together, layer.in_width)

    def _inside(self, outputs: range, axis: int) -> int:
        """Return the number of positions of the map between those that the outputs read, by looking at each."""
        layer = self.layer
        first, last = (output * layer.stride[axis] - layer.padding[axis] for output in (outputs[0], outputs[-1]))
        reach = (layer.kernel[axis] - 1) * layer.dilation[axis]
        return sum(0 <= position < layer.in_size(axis) for position in range(first, last + reach + 1))

    def _lines(self, port: str, pixels: int, channels: range, channels_a_line: int) -> _Burst:
        return _Burst(port=port, count=1, words=pixels * len(channels[::channels_a_line]), is_kept=True)

    def _results(self, tile: _Tile, port: str) -> _Burst:
        layer = self.layer
        channels, rows, cols = tile.outputs, len(tile.rows), len(tile.cols)
        if self._keeps_sums:
            channels = range(layer.out_channels)
        if self.map_out:
            return self._lines(port, rows * cols, channels, self.accelerator.pe_rows)
        return self._bursts(port, rows, cols, channels, layer.out_channels, layer.out_width)

    def _bursts(self, port: str, rows: int, cols: int, channels: range, all_channels: int, width: int) -> _Burst:
        """Return the bursts of a tile: what lies together in memory, channels innermost, is one."""
        words, pixels = math.ceil(channels.stop / self.word) - channels.start // self.word, rows * cols
        count = pixels if len(channels) != all_channels else rows if cols < width else min(rows, 1)
        return _Burst(port=port, count=count, words=pixels // max(count, 1) * words)

    def _weights(self, tile: _Tile) -> _Burst:
        layer, accelerator = self.layer, self.accelerator
        if layer.operation.is_weightless:
            return self._weight_burst(0)
        if layer.operation.reads_gate:
            return self._weight_burst(len(tile.outputs))
        line = accelerator.pe_rows * accelerator.pe_cols
        weights = self._groups(tile) * (line if self.dense else accelerator.lanes) * layer.taps
        if layer.weight_bits == 4:
            # Two lines of the weight buffer lie in one.
            return self._weight_burst(len(range(0, len(range(0, weights, line)), 2)) * line)
        return self._weight_burst(weights)

    def _groups(self, tile: _Tile) -> int:
        """Return the groups of channels that are computed one after the other."""
        a = self.accelerator
        if self.dense:
            return len(tile.outputs[:: a.pe_rows]) * len(tile.inputs[:: a.pe_cols])
        return len(tile.outputs[:: a.lanes])

    def _iterations(self, tile: _Tile) -> int:
        """Return the iterations of the compute loop, counted group by group."""
        pixels = len(tile.rows) * len(tile.cols[:: self.accelerator.pe_pixels])
        return self._groups(tile) * pixels * self.layer.taps

    def _setup(self, loads_table: bool) -> float:
        """Return the cycles of loading descriptor, parameters and table one after the other, by one port."""
        parameters = self._parameter_lines() * self.accelerator.post_lanes * isa.PARAMETERS.itemsize
        cycles = self.timing.layer_overhead_cycles + self._fetch(isa.DESCRIPTOR_BYTES) + self._fetch(parameters)
        return cycles + (self._fetch(TABLE_BYTES) if loads_table else 0)

    def _parameter_lines(self) -> int:
        """Return the lines of parameters: of channels that are post-processed together, or of windows that are alike.

        Windows of an average are alike that have as much of the map. Those of a row take a power of two of lines.
        """
        layer = self.layer
        if not layer.operation.averages:
            return len(range(0, layer.out_channels, self.accelerator.post_lanes))
        rows, cols = (
            len({self._inside(range(output, output + 1), axis) for output in range(layer.out_size(axis))})
            for axis in (0, 1)
        )
        return rows << (cols - 1).bit_length()

    def _fetch(self, size: int) -> float:
        return self._phase((self._weight_burst(size),))["weight"]

    def _weight_burst(self, size: int) -> _Burst:
        return _Burst(
            port="weight", count=1, words=math.ceil(size / self.weight_word), width=self.weight_word // self.word
        )

    def _phase(self, transfers: tuple[_Burst, ...]) -> dict[str, float]:
        """Return when each port is done, all starting at 0; equal phases are played once."""
        if transfers not in self.known_phases:
            asking = tuple(burst for burst in transfers if not burst.is_kept)
            ends = {burst.port: burst.total + self.timing.pipeline_depth_cycles for burst in transfers if burst.is_kept}
            if asking:
                ends |= dict(zip((burst.port for burst in asking), self._play(asking), strict=True))
            self.known_phases[transfers] = ends
        return self.known_phases[transfers]

    def _play(self, transfers: tuple[_Burst, ...]) -> list[float]:
        """Return when each port is done, all starting at 0."""
        gap = self.timing.burst_overhead_cycles
        queues = [_chunks(burst) for burst in transfers]
        pending = [next(queue, None) for queue in queues]
        asked = [self.timing.access_latency_cycles] * len(queues)
        started: list[deque[float]] = [deque([0.0] * OUTSTANDING_CHUNKS, OUTSTANDING_CHUNKS) for _ in queues]
        arrived = [self.timing.access_latency_cycles] * len(queues)
        channel_free, turn = 0.0, 0
        while any(chunk is not None for chunk in pending):
            ports = [port for port, chunk in enumerate(pending) if chunk is not None]
            now = max(channel_free, min(asked[port] for port in ports))
            waiting = [port for port in ports if asked[port] <= now]
            port = min(waiting, key=lambda port: (port - turn) % len(queues))
            chunk = pending[port]
            assert chunk is not None
            words, begins = chunk
            channel_free = now + words * transfers[port].width * self.service
            start = max(now, arrived[port] + (gap if begins else 0))
            started[port].append(start)
            asked[port] = max(asked[port], started[port][0])
            arrived[port] = max(start + words, channel_free)
            pending[port] = next(queues[port], None)
            turn = port + 1
        return arrived


def _chunks(burst: _Burst) -> Iterator[tuple[int, bool]]:
    """Yield (words, whether a burst begins) of each chunk that the bus makes of the bursts."""
    for _ in range(burst.count):
        for start in range(0, burst.words, CHUNK_WORDS):
            yield min(CHUNK_WORDS, burst.words - start), start == 0
