"""How far stated cycles of the engine are from those of its Verilog, simulated, and how fast that simulates.

    python benchmarks/engine_cycles.py              accelerators and programs that nothing was fitted to
    python benchmarks/engine_cycles.py --fitted     those that formulas and constants may be fitted to

Formulas and constants are fixed in a commit before the programs of the first kind are run. Each accelerator runs
programs of random layers; programs of random groups of layers that read each other's maps, on chip where it has a
memory for them; the different layers of a MobileNetV3-Large with half of its rows and columns; and, where maps stay on
chip, some of its inverted residuals band by band. The tiles of the latter two are those that take the fewest stated
cycles of some random ones (so tiles of which too little is stated are preferred). The memory answers after 20, 60 or
150 cycles, as fast as the ports take it, or with a word a cycle that all ports share. A step's cycles are what the
engine counts of it, a program's those of its register; deviations are shares of the simulated ones. Needs verilator.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/lib"))
from pricing import mobilenet_layers
from support.verilog.engine_programs import EngineProgram, engine_program, random_program
from support.verilog.engines import ENGINES as TESTED
from support.verilog.random_engine_chains import Chain, bands_of, random_chain_program, write_chain
from support.verilog.random_engine_layers import random_data, randomly_tiled
from support.verilog.simulated import build_engine

from codesign.emit.engine_reference import EngineNode
from cost_models.engine.bands import rows_read
from cost_models.engine.cycles import program_cycles, step_cycles
from cost_models.engine.layer import EngineLayer, engine_layer
from cost_models.engine.places import MapPlace, Places, ProgramStep
from cost_models.engine.stages import MemoryTiming
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.placement import Placement
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape, Limits
from hw_templates.foundation.arrays import FloatArray
from hw_templates.operations import Operation

HELD_OUT = {
    "16x8x4": EngineShape(
        accelerator=Accelerator(
            pe_rows=16, pe_cols=8, pe_pixels=4, pack=2, ifmap_kib=32, weight_kib=32, ofmap_kib=16,
            axi_bits=64, clock_mhz=100,
        ),
        limits=Limits(max_dilation=2),
    ),
    "32x16x1": EngineShape(
        accelerator=Accelerator(
            pe_rows=32, pe_cols=16, pe_pixels=1, pack=2, ifmap_kib=32, weight_kib=64, ofmap_kib=32,
            axi_bits=128, clock_mhz=200, ifmap_buffers=1,
        ),
        family="zynq-ultrascale+",
    ),
    "8x4x8": EngineShape(
        accelerator=Accelerator(
            pe_rows=8, pe_cols=4, pe_pixels=8, pack=1, ifmap_kib=32, weight_kib=16, ofmap_kib=32,
            axi_bits=32, clock_mhz=100, weight_port_words=2, weight_buffers=1, ofmap_buffers=1,
        ),
        limits=Limits(max_stride=3, zero_point=True),
    ),
    "24x8x2-maps": EngineShape(
        accelerator=Accelerator(
            pe_rows=24, pe_cols=8, pe_pixels=2, pack=2, ifmap_kib=32, weight_kib=32, ofmap_kib=16,
            axi_bits=64, clock_mhz=100, map_kib=32,
        ),
    ),
    "16x24x1-maps": EngineShape(
        accelerator=Accelerator(
            pe_rows=16, pe_cols=24, pe_pixels=1, pack=1, ifmap_kib=32, weight_kib=64, ofmap_kib=16,
            axi_bits=64, clock_mhz=100, map_kib=64, weight_port_words=2, ifmap_buffers=1,
        ),
        limits=Limits(max_dilation=2),
    ),
}  # fmt: skip
RESIDUALS = ((16, 64, 24, 56, 3, 2), (24, 72, 24, 28, 3, 1), (40, 120, 40, 14, 5, 1), (80, 200, 80, 7, 3, 1))
"""Channels, expanded channels, channels of the result, rows and columns, kernel and stride of inverted residuals."""
LATENCIES = (20, 60, 150)
FIRST_SEED, FITTED_SEED = 2000, 500
LAYERS = 20
GROUPS = 10
TILINGS = 20


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Stated and simulated cycles of steps and of programs, and simulated cycles a processor second, [programs]."""

    stated_steps: FloatArray
    steps: FloatArray
    stated_programs: FloatArray
    programs: FloatArray
    cycles_a_second: FloatArray


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.3g} {unit}", flush=True)


def network_layers() -> list[Layer]:
    """The different layers of a MobileNetV3-Large with half of its rows and columns."""

    def half(size: int) -> int:
        return max(1, size // 2)

    return [
        replace(
            layer,
            in_height=half(layer.in_height),
            in_width=half(layer.in_width),
            kernel_height=half(layer.kernel_height) if layer.operation.averages else layer.kernel_height,
            kernel_width=half(layer.kernel_width) if layer.operation.averages else layer.kernel_width,
        )
        for layer in mobilenet_layers()
    ]


def tiled_network(shape: EngineShape, rng: np.random.Generator) -> list[TiledLayer]:
    """Return the layers in tiles of few stated cycles."""
    layers = [engine_layer(layer, residual=int(layer.residual)) for layer in network_layers()]
    return [tiled_layer(layer, shape, rng) for layer in layers]


def tiled_layer(layer: EngineLayer, shape: EngineShape, rng: np.random.Generator) -> TiledLayer:
    """Return a layer in those of some random tiles that take the fewest stated cycles."""
    memory = MemoryTiming(latency_cycles=60)
    found = [randomly_tiled(rng, layer, shape) for _ in range(TILINGS)]
    tiled = [each for each in found if each is not None]
    return min(tiled, key=lambda each: step_cycles(_anywhere(each), memory).counted)


def residuals(shape: EngineShape, rng: np.random.Generator) -> Chain:
    """Return inverted residuals, each band by band in the tallest bands whose rings the engine holds."""
    nodes: list[EngineNode] = []
    given = {}
    for index, (inputs, expanded, outputs, size, kernel, stride) in enumerate(RESIDUALS):
        reach = (kernel // 2,) * 4
        common = {"in_height": size, "in_width": size}
        expand = EngineLayer(operation=Operation.CONV, in_channels=inputs, out_channels=expanded, **common)
        depthwise = EngineLayer(
            operation=Operation.DEPTHWISE, in_channels=expanded, out_channels=expanded, kernel=(kernel, kernel),
            stride=(stride, stride), padding=reach, **common,
        )  # fmt: skip
        project = EngineLayer(
            operation=Operation.CONV, in_channels=expanded, out_channels=outputs, in_height=depthwise.out_height,
            in_width=depthwise.out_width,
        )  # fmt: skip
        layers = (expand, depthwise, project)
        given[f"block{index}"] = (inputs, size, size)
        for height in range(project.out_height, 0, -1):
            bands = bands_of(layers, height)
            rings = [
                max(end - begin for begin, end in (rows_read(reader, rows) for rows in its_bands))
                for reader, its_bands in zip(layers[1:], bands[1:], strict=True)
            ]
            if all(_fits(layer, ring, shape) for layer, ring in zip(layers, rings, strict=False)):
                break
        else:
            continue
        names = [f"block{index}", *(f"layer{len(nodes) + each}" for each in range(3))]
        for each, layer in enumerate(layers):
            placement = Placement(
                ifmap_ring=(0, *rings)[each],
                ofmap_ring=(*rings, 0)[each],
                bands=bands[each],
                group_layers=0 if each else 3,
            )
            nodes.append(
                EngineNode(
                    name=names[each + 1], tiled=tiled_layer(layer, shape, rng), data=random_data(rng, layer),
                    ifmap=names[each], placement=placement,
                )
            )  # fmt: skip
    return Chain(shape=shape, nodes=tuple(nodes), given=given)


def _fits(layer: EngineLayer, ring: int, shape: EngineShape) -> bool:
    """Return whether a half of the map memory holds some rows of a layer's result."""
    accelerator = shape.accelerator
    words = -(-layer.out_channels // accelerator.axi_bytes)
    return ring * layer.out_width * -(-words // accelerator.map_banks) <= accelerator.map_depth


def _anywhere(tiled: TiledLayer) -> ProgramStep:
    word = tiled.shape.accelerator.axi_bytes
    place = MapPlace(word=0, pixel_words=-(-tiled.layer.out_channels // word))
    return ProgramStep(
        tiled=tiled,
        places=Places(
            ifmap=MapPlace(word=0, pixel_words=-(-tiled.layer.in_channels // word)),
            ofmap=place,
            residual=place if tiled.layer.residual else None,
        ),
        descriptor_word=0,
    )


def compare(simulation: Path, programs: Iterable[EngineProgram], memory: MemoryTiming) -> Agreement:
    """Run programs with a memory, and return what was stated of them beside what came out."""
    stated_steps, steps, stated_programs, cycles, speeds = [], [], [], [], []
    for program in programs:
        options = {"--latency": memory.latency_cycles, "--bytes-a-cycle": memory.bytes_a_cycle}
        run = program.simulate(simulation, *(str(part) for option in options.items() for part in option))
        if run.differing:
            raise SystemExit(f"{run.differing[0].tiled}: the result is wrong")
        stated, total = program_cycles(program.steps, memory)
        stated_steps += [each.counted for each in stated]
        steps += run.counters["total_cycles"].tolist()
        stated_programs.append(total)
        cycles.append(run.cycles)
        speeds.append(run.cycles_a_second)
    return Agreement(
        stated_steps=np.array(stated_steps, float),
        steps=np.array(steps, float),
        stated_programs=np.array(stated_programs, float),
        programs=np.array(cycles, float),
        cycles_a_second=np.array(speeds),
    )


def report(name: str, parts: list[Agreement]) -> None:
    """Print how far all of them together are off."""
    stated, simulated = (
        np.concatenate([getattr(part, field) for part in parts]) for field in ("stated_steps", "steps")
    )
    totals = [sum(getattr(part, field).sum() for part in parts) for field in ("stated_programs", "programs")]
    worst_program = np.concatenate([part.stated_programs / part.programs - 1 for part in parts])
    deviation = 100 * np.abs(stated / simulated - 1)
    print(f"{name}: {len(stated)} steps, {int(totals[1])} cycles", flush=True)
    figure(f"{name}_total", 100 * (totals[0] / totals[1] - 1), "%")
    figure(f"{name}_program_worst", 100 * np.abs(worst_program).max(), "%")
    figure(f"{name}_step_median", np.median(deviation), "%")
    figure(f"{name}_step_95th_percentile", np.quantile(deviation, 0.95), "%")
    figure(f"{name}_step_worst", deviation.max(), "%")


def main() -> None:
    """Print every figure."""
    options = argparse.ArgumentParser(description="Stated cycles beside the Verilog's.")
    options.add_argument("--programs", type=int, default=10, help="programs of random layers for each accelerator")
    options.add_argument("--fitted", action="store_true", help="run what formulas may be fitted to")
    options.add_argument("--folder", type=Path, help="where simulations are kept from run to run")
    asked = options.parse_args()
    kinds: dict[str, list[Agreement]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        first_seed = FITTED_SEED if asked.fitted else FIRST_SEED
        for name, shape in (TESTED if asked.fitted else HELD_OUT).items():
            simulation = folder / name / "build/rtlsim"
            if not simulation.exists():
                simulation = build_engine(folder / name, shape)
            programs, rng = Path(temporary) / name, np.random.default_rng(first_seed)
            seeds = range(first_seed, first_seed + asked.programs)
            made = {
                "random": [random_program(programs / f"random{seed}", shape, LAYERS, seed) for seed in seeds],
                "chains": [random_chain_program(programs / f"chain{seed}", shape, GROUPS, seed) for seed in seeds],
                "mobilenet": [engine_program(programs / "network", tiled_network(shape, rng), rng)],
            }
            if shape.accelerator.map_kib:
                made["bands"] = [write_chain(programs / "bands", residuals(shape, rng), rng)]
            for latency in LATENCIES:
                for kind, limit in (("ample", 0), ("shared", shape.accelerator.axi_bytes)):
                    memory = MemoryTiming(latency_cycles=latency, bytes_a_cycle=limit)
                    for what, run in made.items():
                        part = compare(simulation, run, memory)
                        kinds.setdefault(f"{what}_{kind}", []).append(part)
                        report(f"{name}_{what}_{kind}_{latency}", [part])
            speed = np.median([part.cycles_a_second[-1] for part in kinds["mobilenet_ample"][-len(LATENCIES) :]])
            figure(f"{name}_simulated_cycles_per_processor_second", float(speed), "1/s")
    for name, parts in kinds.items():
        report(name, parts)
    report("all", [part for parts in kinds.values() for part in parts])


if __name__ == "__main__":
    main()
