from dataclasses import replace

import numpy as np
import pytest
from support.pricing.every_mapping import enumerate_mappings

from cost_models.calibration.engines.conv_engine import CONV_ENGINES, stated_counters, with_latency
from cost_models.calibration.estimation import estimate
from cost_models.calibration.timing_model import measured_cycles
from cost_models.closed_form.estimate import price_mapped
from cost_models.coefficients import LatencyCoefficients, load_coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import draw_mapping
from cost_models.mapping.placement import IN_MEMORY, Placement, band_rows
from cost_models.measurements.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.simulator import simulate
from cost_models.workload import Layer, Node, Operation, Workload
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError

BOARD = load_board("pynq-z2")
PRIOR = load_coefficients()
CPP = CONV_ENGINES[Implementation.HLS]
TRUTH = replace(
    PRIOR,
    latency=LatencyCoefficients(
        pipeline_depth_cycles=25,
        access_latency_cycles=70,
        burst_overhead_cycles=9,
        slot_overhead_cycles=15,
        layer_overhead_cycles=150,
        start_cycles=1200,
        ddr_efficiency=0.7,
    ),
)
ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=16,
    pe_pixels=1,
    pack=1,
    ifmap_kib=16,
    weight_kib=32,
    ofmap_kib=16,
    axi_bits=64,
    clock_mhz=150,
)


def simulated_runs(count: int, seed: int, layers: int = 1) -> list[Measurement]:
    """Runs of random layers with random mappings, timed by the event-driven simulator, with 1 % of noise."""
    rng = np.random.default_rng(seed)
    runs = []
    while len(runs) < count:
        ran, cycles = [], TRUTH.latency.start_cycles
        while len(ran) < layers:
            dense = rng.random() < 0.7
            kernel, stride, size = int(rng.choice([1, 3, 5])), int(rng.integers(1, 3)), int(rng.integers(3, 22))
            inputs, outputs = (8 * int(rng.integers(1, 16)) for _ in range(2))
            layer = Layer(
                operation=Operation.CONV if dense else Operation.DEPTHWISE,
                in_channels=inputs,
                out_channels=outputs if dense else inputs,
                in_height=size,
                in_width=size,
                kernel_height=kernel,
                kernel_width=kernel,
                stride=stride,
                padding=kernel // 2,
            )
            mapping = draw_mapping(layer, ACCELERATOR, rng)
            if mapping is not None:
                mapped = MappedLayer(layer, mapping)
                cycles += simulate(mapped, ACCELERATOR, BOARD, TRUTH).latency_cycles
                ran.append(MeasuredLayer.of(mapped))
        latency_ms = cycles * float(np.exp(rng.normal(0, 0.01))) / (ACCELERATOR.clock_mhz * 1e3)
        runs.append(
            Measurement(
                engine="conv_engine_hls",
                board=BOARD.name,
                campaign="simulated",
                source="cost_models/simulator.py",
                clock_mhz=ACCELERATOR.clock_mhz,
                latency_ms=Percentiles(latency_ms),
                date="2026-01-31",
                layers=tuple(ran),
                accelerator=ACCELERATOR,
            )
        )
    return runs


def test_the_prior_prices_as_the_cost_model_does() -> None:
    runs = simulated_runs(4, 1, layers=3)
    theta = np.log([getattr(PRIOR.latency, parameter.name) for parameter in CPP.parameters])
    cycles = CPP.bind(runs).cycles(np.tile(theta, (4, 1)))
    for run, predicted in zip(runs, cycles, strict=True):
        for ran in run.mapped_layers:
            predicted -= layer_cycles(ran)
        assert predicted == pytest.approx(PRIOR.latency.start_cycles)


def layer_cycles(mapped: MappedLayer) -> float:
    workload = Workload((Node(name="only", layer=mapped.layer, ifmap="image"),))
    return price_mapped(workload, [mapped], ACCELERATOR, BOARD, PRIOR).layers[0].latency_cycles


def test_parts_add_up_to_the_cycles() -> None:
    runs = simulated_runs(5, 2, layers=2)
    theta = np.log([[getattr(TRUTH.latency, parameter.name) for parameter in CPP.parameters]] * 5)
    bound = CPP.bind(runs)
    parts = bound.parts(theta)
    assert set(parts) == {"compute", "input", "weights", "output", "ddr", "overhead"}
    assert sum(parts.values()) == pytest.approx(bound.cycles(theta))


def test_a_fit_recovers_the_coefficients_that_made_the_runs() -> None:
    runs = simulated_runs(40, 3)
    posterior = estimate(CPP, runs)
    values, covariance = posterior.theta(["simulated"])[0], posterior.uncertainty("simulated")
    for index, parameter in enumerate(CPP.parameters):
        truth = np.log(getattr(TRUTH.latency, parameter.name))
        # The closed form and the simulator share no formula: where ports compete they differ by some percent.
        assert abs(values[index] - truth) < 3 * np.sqrt(covariance[index, index]) + 0.1, parameter.name
    found = dict(zip((parameter.name for parameter in CPP.parameters), np.exp(values), strict=True))
    assert found["burst_overhead_cycles"] == pytest.approx(9, rel=0.15)
    # Each slot pays both, so that only their sum shows.
    assert found["access_latency_cycles"] + found["slot_overhead_cycles"] == pytest.approx(85, rel=0.1)
    fresh = simulated_runs(30, 4)
    predicted = CPP.bind(fresh).cycles(posterior.theta(["simulated"] * 30))
    prior = CPP.bind(fresh).cycles(np.tile(np.log([p.median for p in CPP.parameters]), (30, 1)))
    error, before = (np.mean(np.abs(cycles / measured_cycles(fresh) - 1)) for cycles in (predicted, prior))
    assert error < 0.03
    assert error < before / 4


def test_coefficients_of_logarithms() -> None:
    theta = np.log([2.0, 3, 4, 5, 6, 7, 1.5])
    latency = with_latency(PRIOR, theta).latency
    assert latency.pipeline_depth_cycles == pytest.approx(2)
    assert latency.ddr_efficiency == 1.0


def test_a_run_that_lists_no_layers() -> None:
    whole = replace(simulated_runs(1, 5)[0], layers=(), network="all of it")
    with pytest.raises(InvalidValueError, match=r"measurements\[0\]\.layers: must be given for conv_engine"):
        CPP.bind([whole])


def test_layers_that_stay_on_chip_take_what_the_simulator_says() -> None:
    accelerator = replace(ACCELERATOR, map_kib=32)
    layers = (
        Layer(operation=Operation.CONV, in_channels=16, out_channels=64, in_height=14, in_width=14),
        Layer(
            operation=Operation.DEPTHWISE,
            in_channels=64,
            out_channels=64,
            in_height=14,
            in_width=14,
            kernel_height=3,
            kernel_width=3,
            stride=1,
            padding=1,
        ),
        Layer(operation=Operation.CONV, in_channels=64, out_channels=16, in_height=14, in_width=14, residual=True),
    )
    bands = band_rows(layers, 1)
    placements = (Placement(0, 3, bands[0], 3), Placement(3, 1, bands[1]), Placement(1, 0, bands[2]))
    mappings = [
        max(enumerate_mappings(layer, accelerator), key=lambda m: m.tile_height * m.tile_width) for layer in layers
    ]
    mapped = [MappedLayer(*each) for each in zip(layers, mappings, placements, strict=True)]
    run = replace(simulated_runs(1, 6)[0], accelerator=accelerator, layers=tuple(map(MeasuredLayer.of, mapped)))
    theta = np.log([[getattr(PRIOR.latency, parameter.name) for parameter in CPP.parameters]])
    simulated = [simulate(each, accelerator, BOARD, PRIOR).latency_cycles for each in mapped]
    start = PRIOR.latency.start_cycles
    assert CPP.bind([run]).cycles(theta)[0] - start == pytest.approx(sum(simulated), rel=0.02)
    alone = replace(run, layers=tuple(replace(each, placement=IN_MEMORY) for each in run.layers))
    # Each band is set up anew.
    assert CPP.bind([alone]).cycles(theta)[0] - start < 0.8 * sum(simulated)


def test_the_roofline_is_the_busiest_of_array_and_ports() -> None:
    runs = simulated_runs(30, 9, layers=2)
    least = CPP.least_cycles(runs)
    for run, cycles in zip(runs, least, strict=True):
        counters = stated_counters(run.mapped_layers, ACCELERATOR, BOARD)
        assert cycles == max(counts.sum() for counts in counters.values())
    assert (least < measured_cycles(runs)).all()
    assert (least > 0.5 * measured_cycles(runs)).any()
