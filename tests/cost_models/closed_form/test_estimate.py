import numpy as np
import pytest

from cost_models.closed_form.estimate import Estimate, network_energy_mj, network_latency_cycles, price
from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import load_coefficients
from cost_models.workload import IMAGE, Activation, Layer, Node, Operation, Workload
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import MappingError

BOARD = load_board("pynq-z2")
PRIOR = load_coefficients()
ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=16,
    pe_pixels=1,
    pack=2,
    ifmap_kib=8,
    weight_kib=16,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
)
CONV = Layer(
    operation=Operation.CONV,
    in_channels=16,
    out_channels=32,
    in_height=8,
    in_width=8,
    kernel_height=3,
    kernel_width=3,
    stride=1,
    padding=1,
)
NETWORK = Workload(
    (
        Node(name="a", layer=CONV, ifmap=IMAGE, activation=Activation.RELU),
        Node(
            name="b",
            layer=Layer(
                operation=Operation.DEPTHWISE,
                in_channels=32,
                out_channels=32,
                in_height=8,
                in_width=8,
                kernel_height=7,
                kernel_width=7,
                stride=1,
                padding=3,
            ),
            ifmap="a",
        ),
        Node(
            name="c",
            layer=Layer(
                operation=Operation.CONV, in_channels=32, out_channels=32, in_height=8, in_width=8, residual=True
            ),
            ifmap="b",
            residual="a",
        ),
        Node(
            name="d",
            layer=Layer(
                operation=Operation.POOL,
                in_channels=32,
                out_channels=32,
                in_height=8,
                in_width=8,
                kernel_height=8,
                kernel_width=8,
            ),
            ifmap="c",
        ),
        Node(
            name="e",
            layer=Layer(operation=Operation.SCALE, in_channels=32, out_channels=32, in_height=8, in_width=8),
            ifmap="c",
            gate="d",
        ),
        Node(
            name="f",
            layer=Layer(
                operation=Operation.CONV, in_channels=32, out_channels=32, in_height=8, in_width=8, residual=True
            ),
            ifmap="e",
            residual="a",
        ),
    )
)


@pytest.fixture(scope="module")
def estimate() -> Estimate:
    return price(NETWORK, ACCELERATOR, BOARD, PRIOR)


def test_a_network_is_the_sum_of_its_layers(estimate: Estimate) -> None:
    cycles = sum(layer.latency_cycles for layer in estimate.layers)
    assert estimate.latency_cycles == cycles + PRIOR.latency.start_cycles == network_latency_cycles(cycles, PRIOR)
    assert estimate.latency_ms == estimate.latency_cycles / 100e3
    dynamic = sum(layer.energy_mj for layer in estimate.layers)
    assert estimate.energy_mj == pytest.approx(dynamic + BOARD.idle_power_w * estimate.latency_ms)
    assert estimate.energy_mj == network_energy_mj(dynamic, estimate.latency_ms, BOARD)


def test_network_prices_equal_the_table(estimate: Estimate) -> None:
    table = price_layers(NETWORK.layers, [ACCELERATOR], BOARD, PRIOR)
    for row, layer in enumerate(estimate.layers):
        assert layer.latency_cycles == table.latency_cycles[row, 0]
        assert layer.energy_mj == table.energy_mj[row, 0]
        assert layer.mapped.mapping == table.mapping(row, 0)


def test_layers_say_what_they_are(estimate: Estimate) -> None:
    assert [layer.name for layer in estimate.layers] == list("abcdef")
    # 9 taps * 2 groups of outputs * 64 pixels; 49 taps * 2 groups of lanes * 64; 2 * 2 * 64.
    assert [layer.compute_cycles for layer in estimate.layers[:3]] == [9 * 2 * 64, 49 * 2 * 64, 2 * 2 * 64]
    assert estimate.layers[1].bound == "compute"
    assert estimate.layers[2].latency_cycles == estimate.layers[5].latency_cycles
    assert all(layer.ofmap_words == 64 * 4 for layer in estimate.layers if layer.name != "d")
    # Without a halo, whole maps of 32 bytes a pixel; whole sets of 32 x 32 weights.
    assert estimate.layers[2].ifmap_words % (64 * 4) == 0
    assert estimate.layers[2].weight_words % (32 * 32 // 8) == 0
    plain = price_layers(
        [Layer(operation=Operation.CONV, in_channels=32, out_channels=32, in_height=8, in_width=8)],
        [ACCELERATOR],
        BOARD,
        PRIOR,
    )
    assert estimate.layers[2].energy_mj > plain.energy_mj[0, 0]


def test_bounds() -> None:
    tiny = Workload(
        (
            Node(
                name="fc",
                layer=Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=1, in_width=1),
                ifmap=IMAGE,
            ),
        )
    )
    wide = Workload(
        (
            Node(
                name="fc",
                layer=Layer(operation=Operation.CONV, in_channels=1024, out_channels=1024, in_height=1, in_width=1),
                ifmap=IMAGE,
            ),
        )
    )
    assert price(tiny, ACCELERATOR, BOARD, PRIOR).layers[0].bound == "overhead"
    assert price(wide, ACCELERATOR, BOARD, PRIOR).layers[0].bound == "ddr"


def test_a_faster_memory_is_never_slower() -> None:
    columns = AcceleratorSpace(BOARD).sample(np.random.default_rng(1), 40)
    slow = price_layers(NETWORK.layers, columns, BOARD, PRIOR).latency_cycles
    fast = price_layers(NETWORK.layers, columns, load_board("zcu104"), PRIOR).latency_cycles
    legal = np.isfinite(slow)
    assert legal.any()
    assert (fast[legal] <= slow[legal] * (1 + 1e-6)).all()


def test_no_layers_and_no_accelerators() -> None:
    assert price_layers([], [ACCELERATOR], BOARD, PRIOR).latency_cycles.shape == (0, 1)
    assert price_layers([CONV], [], BOARD, PRIOR).latency_cycles.shape == (1, 0)


def test_only_what_is_wanted_is_priced() -> None:
    columns = AcceleratorSpace(BOARD).sample(np.random.default_rng(0), 5)
    whole = price_layers(NETWORK.layers, columns, BOARD, PRIOR)
    wanted = np.random.default_rng(1).random(whole.latency_cycles.shape) < 0.4
    wanted[0] = False
    part = price_layers(NETWORK.layers, columns, BOARD, PRIOR, wanted)
    for one, other in ((part.latency_cycles, whole.latency_cycles), (part.energy_mj, whole.energy_mj)):
        assert np.array_equal(one, np.where(wanted, other, np.inf))
    assert np.array_equal(part.mappings, np.where(wanted[:, :, None], whole.mappings, 0))
    assert 0 < part.candidates < whole.candidates
    nothing = price_layers(NETWORK.layers, columns, BOARD, PRIOR, np.zeros_like(wanted))
    assert nothing.candidates == 0
    assert np.isinf(nothing.latency_cycles).all()


def test_a_layer_that_fits_nowhere_is_named_with_the_least_buffers() -> None:
    # 7x7 needs 7 rows * 7 slots of 16 bytes, and 49 words of 16 * 16 bytes: 12.25 KiB.
    small = Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=1,
        pack=1,
        ifmap_kib=2,
        weight_kib=8,
        ofmap_kib=2,
        axi_bits=64,
        clock_mhz=100,
    )
    network = Workload(
        (
            Node(name="first", layer=CONV, ifmap=IMAGE),
            Node(
                name="second",
                layer=Layer(
                    operation=Operation.CONV,
                    in_channels=32,
                    out_channels=8,
                    in_height=8,
                    in_width=8,
                    kernel_height=7,
                    kernel_width=7,
                    stride=1,
                    padding=3,
                ),
                ifmap="first",
            ),
        )
    )
    with pytest.raises(MappingError) as raised:
        price(network, small, BOARD, PRIOR)
    assert str(raised.value) == ("layer second: no tile fits the accelerator; it needs weight_kib at least 13 (has 8)")
    table = price_layers(network.layers, [small], BOARD, PRIOR)
    assert np.isfinite(table.latency_cycles[:, 0]).tolist() == [True, False]
    with pytest.raises(MappingError, match="layer 1 has no legal mapping on accelerator 0"):
        table.mapping(1, 0)
