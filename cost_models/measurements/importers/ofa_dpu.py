"""Once-for-all MobileNetV3 blocks that were measured on an Ultra96-V2: Pilot-Khadka's table of latencies.

DPUCZDX8G B2304 at 200 MHz, Vitis AI 3.0, INT8, batch 1. A block is expand, depthwise, squeeze-and-excite and project,
with channels rounded to multiples of 8 as Cai et al. ("Once-for-all", ICLR 2020) round them. Blocks are grouped by the
stage of the network that they belong to. The table gives no date.
"""

from pathlib import Path

from cost_models.measurements.importers.table import Tell, check_roofline, converted, tell_left_out
from cost_models.measurements.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Activation, Layer, Operation, Shape
from hw_templates.foundation.csv_table import Row, read_rows
from hw_templates.foundation.errors import StorageError

_SOURCE = "Pilot-Khadka/Latency-dataset-for-Once-For-All-network 4866e16c"
_B2304 = {"pixel_parallel": 8, "channel_parallel": 12, "alu_parallel": 4}
_FIRST, _REPEATED = "all", "repeat"
_SQUEEZE = 4
_ACTIVATIONS = {
    "relu": Activation.RELU,
    "h_swish": Activation.HSWISH,
    "h_swish_shape": Activation.HSWISH,
}


def read_ofa_dpu(path: Path, tell: Tell = lambda _: None) -> tuple[Measurement, ...]:
    """Read ``ofa_mbv3_blocks_dpu_b2304_ultra96.csv``.

    Args:
        path: the table.
        tell: hears which rows are left out.

    Raises:
        StorageError: the file cannot be read, a row is not as described, of another engine or faster than this can be,
            or all rows are left out.
    """
    rows = read_rows(path)
    again = [row for row in rows if row.choice("set", _FIRST, _REPEATED) == _REPEATED]
    tell_left_out(tell, again, len(rows), "they measure again what other rows measure (set)")
    runs = converted((row for row in rows if row not in again), _measurement)
    if not runs:
        raise StorageError(f"{path}: must hold a row of set {_FIRST}")
    check_roofline("dpu", runs)
    return tuple(runs.values())


def _measurement(row: Row) -> Measurement:
    if not row.is_empty("target") and "_B2304_" not in row.text("target"):
        raise StorageError(f"{row.place}: target must be a DPU B2304, got {row.text('target')!r}")
    if not row.is_empty("dpu_subgraphs"):
        # What the compiler cuts into several runs partly on the processor.
        row.choice("dpu_subgraphs", "1")
    kind = row.choice("kind", "mbconv", "conv", "linear")
    is_block = kind == "mbconv"
    return Measurement(
        engine="dpu",
        board="ultra96-v2",
        campaign="DPUCZDX8G B2304, Vitis AI 3.0",
        source=_SOURCE,
        clock_mhz=200,
        latency_ms=Percentiles(row.number("trace_p50_ms"), row.number("trace_p05_ms"), row.number("trace_p95_ms")),
        layers=_block(row) if is_block else _single(row, kind),
        repetitions=row.whole("runs"),
        settings=dict(_B2304),
        counters={"ddr_bytes": row.number("mem_io_mb") * 2**20},
        group=f"stage of {row.whole('cout')} channels" if is_block else "single layers",
    )


def _activation(row: Row) -> Activation:
    return Activation.IDENTITY if row.is_empty("act") else _ACTIVATIONS[row.choice("act", *_ACTIVATIONS)]


def _layer(
    operation: Operation,
    in_shape: Shape,
    outputs: int,
    activation: Activation = Activation.IDENTITY,
    *,
    kernel: tuple[int, int] = (1, 1),
    stride: int = 1,
    residual: bool = False,
) -> MeasuredLayer:
    """Return a layer with its output channels, padded unless it averages the whole map."""
    channels, height, width = in_shape
    layer = Layer(
        operation=operation,
        in_channels=channels,
        out_channels=outputs,
        in_height=height,
        in_width=width,
        kernel_height=kernel[0],
        kernel_width=kernel[1],
        stride=stride,
        padding=0 if operation.averages else kernel[0] // 2,
        residual=residual,
    )
    return MeasuredLayer(layer, activation)


def _single(row: Row, kind: str) -> tuple[MeasuredLayer, ...]:
    inputs, outputs = row.whole("cin"), row.whole("cout")
    if kind == "linear":
        return (_layer(Operation.CONV, (inputs, 1, 1), outputs),)
    kernel, shape = row.whole("k"), (inputs, row.whole("h"), row.whole("w"))
    # The stem halves the image; the other single layers are 1x1.
    stride = (2 if kernel > 1 else 1) if row.is_empty("stride") else row.whole("stride")
    return (_layer(Operation.CONV, shape, outputs, _activation(row), kernel=(kernel, kernel), stride=stride),)


def rounded_channels(channels: float) -> int:
    """Return the nearest multiple of 8, at least one, that is not below nine tenths of ``channels``."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _block(row: Row) -> tuple[MeasuredLayer, ...]:
    activation, stride, expand = _activation(row), row.whole("stride"), row.number("expand")
    inputs, outputs, height, width, kernel = (row.whole(name) for name in ("cin", "cout", "h", "w", "k"))
    middle = rounded_channels(round(inputs * expand))
    layers = [_layer(Operation.CONV, (inputs, height, width), middle, activation)] if expand != 1 else []
    layers.append(
        _layer(
            Operation.DEPTHWISE,
            (middle, height, width),
            middle,
            activation,
            kernel=(kernel, kernel),
            stride=stride,
        )
    )
    shape = layers[-1].layer.out_shape
    if row.choice("se", "True", "False") == "True":
        squeezed = rounded_channels(middle / _SQUEEZE)
        layers += [
            _layer(Operation.POOL, shape, middle, kernel=shape[1:]),
            _layer(Operation.CONV, (middle, 1, 1), squeezed, Activation.RELU),
            _layer(Operation.CONV, (squeezed, 1, 1), middle, Activation.HSIGMOID),
            _layer(Operation.SCALE, shape, middle),
        ]
    return (*layers, _layer(Operation.CONV, shape, outputs, residual=stride == 1 and inputs == outputs))
