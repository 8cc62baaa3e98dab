import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_models.hls4ml.streams import StreamLayer, stream_cycles
from hw_templates.foundation.errors import InvalidValueError


def walk(layers: list[StreamLayer]) -> int:
    """Pixel by pixel, looking at every input that an output reads."""
    first = layers[0]
    done = {
        (row, col): first.channels * (row * first.width + col + 1)
        for row, col in itertools.product(range(first.height), range(first.width))
    }
    for layer in layers:
        out_rows, out_cols = layer.out_size
        before, now = done, {}
        clock = 0
        for row, col in itertools.product(range(out_rows), range(out_cols)):
            arrived = max(
                before[r, c]
                for r, c in itertools.product(range(layer.height), range(layer.width))
                if reads(layer, row, r, layer.height, out_rows) and reads(layer, col, c, layer.width, out_cols)
            )
            clock = max(clock, arrived) + layer.cycles_per_pixel
            now[row, col] = clock
        done = now
    return max(done.values())


def reads(layer: StreamLayer, output: int, position: int, extent: int, outputs: int) -> bool:
    if layer.kernel == 0:
        return True
    first = output * layer.stride - max((outputs - 1) * layer.stride + layer.kernel - extent, 0) // 2
    return first <= position < first + layer.kernel


@given(
    height=st.integers(1, 6), width=st.integers(1, 6), kernels=st.lists(st.sampled_from([1, 2, 3, 4]), max_size=3),
    stride=st.integers(1, 2), reuse=st.integers(1, 40),
)  # fmt: skip
def test_cycles_equal_those_of_a_walk_over_all_pixels(
    height: int, width: int, kernels: list[int], stride: int, reuse: int
) -> None:
    layers, channels = [], 3
    for kernel in kernels:
        # A kernel smaller than the stride or larger than the map would skip inputs or read none.
        if kernel < stride or kernel > min(height, width):
            continue
        layers.append(
            StreamLayer(
                height=height,
                width=width,
                channels=channels,
                outputs=4,
                kernel=kernel,
                stride=stride,
                reuse_factor=reuse,
            )
        )
        (height, width), channels = layers[-1].out_size, 4
    layers.append(
        StreamLayer(height=height, width=width, channels=channels, outputs=5, kernel=0, stride=1, reuse_factor=reuse)
    )
    assert stream_cycles(layers) == walk(layers)


def test_a_chain_of_dense_layers_adds_up() -> None:
    layers = [
        StreamLayer(height=1, width=1, channels=64, outputs=8, kernel=0, stride=1, reuse_factor=512),
        StreamLayer(height=1, width=1, channels=8, outputs=64, kernel=0, stride=1, reuse_factor=64),
    ]
    assert stream_cycles(layers) == 64 + 512 + 64


def test_convolutions_run_beside_each_other() -> None:
    one = StreamLayer(height=8, width=8, channels=4, outputs=4, kernel=3, stride=1, reuse_factor=144)
    cycles = stream_cycles([one, one])
    assert 64 * 144 < cycles < 1.3 * 64 * 144


@pytest.mark.parametrize(
    ("inputs", "asked", "taken"),
    [(9, 1, 1), (9, 9, 9), (9, 10, 9), (512, 16384, 2048), (512, 600, 512), (512, 700, 512), (512, 800, 1024)],
)
def test_reuse_factors_are_rounded_to_what_the_strategy_accepts(inputs: int, asked: int, taken: int) -> None:
    assert (
        StreamLayer(
            height=1, width=1, channels=inputs, outputs=4, kernel=0, stride=1, reuse_factor=asked
        ).cycles_per_pixel
        == taken
    )


def test_shapes_that_do_not_meet() -> None:
    with pytest.raises(InvalidValueError, match=r"stream_layers\[1\]\.height: must be of 64 pixels, got 4"):
        stream_cycles(
            [
                StreamLayer(height=8, width=8, channels=3, outputs=4, kernel=3, stride=1, reuse_factor=9),
                StreamLayer(height=4, width=4, channels=4, outputs=4, kernel=3, stride=1, reuse_factor=9),
            ]
        )
    with pytest.raises(InvalidValueError, match="stream_layers: must be at least one layer"):
        stream_cycles([])
    with pytest.raises(InvalidValueError, match=r"stream_layer\.reuse_factor: must be at least 1, got 0"):
        StreamLayer(height=1, width=1, channels=1, outputs=1, kernel=0, stride=1, reuse_factor=0)
