"""AMD's DPUCZDX8G (PG338): blocks of layers that Vitis AI compiled, measured as a whole.

The convolution array computes ``pixel_parallel`` rows x ``channel_parallel`` input x ``channel_parallel`` output
channels a cycle. Depthwise kernels, pools, products and sums run on the ALU, ``alu_parallel`` rows x
``channel_parallel`` channels at a time. Maps and weights stream in while a layer computes. A hard swish is one more
pass of the ALU over the map. Gates (squeeze-and-excite) of more than 512 channels take longer than their passes; that
coefficient is empirical, as PG338 does not say why.

The compiler decides which maps between layers stay on chip. Its estimate of the DDR traffic, ``counters.ddr_bytes``, is
taken as it is where a run has it: what it holds beyond input, output, residual and weights is counted with the
depthwise layer. Without it all maps between layers are taken to stay on chip.
"""

import math
from dataclasses import replace

from cost_models.calibration.structural import UNHIDDEN, Demand, Term, structural_model
from cost_models.measurements.measurement import EngineRun, MeasuredLayer
from cost_models.workload import Activation, Operation, Shape
from hw_templates.foundation.errors import InvalidValueError

_CAMPAIGN = 0.2
_WIDE_GATE_CHANNELS = 512
_TERMS = (
    # name, meaning, median, spread, spread over campaigns, role, kind
    Term("conv_cycles", "a step of the convolution array", 1.0, 0.2, 0.05, "tile", "compute"),
    Term("depthwise_cycles", "a step of the ALU in a depthwise kernel", 1.0, 0.1, 0.05, "tile", "compute"),
    Term("swish_cycles", "a line of a hard swish", 8.0, 1.0, _CAMPAIGN, "tile", "elementwise"),
    Term("gate_cycles", "a line of a gate's pool or product", 4.0, 1.0, _CAMPAIGN, "tile", "elementwise"),
    Term(
        "wide_gate_cycles",
        "a channel of a gate of more than 512 channels",
        40.0,
        1.0,
        _CAMPAIGN,
        "alone",
        "elementwise",
    ),
    Term("residual_cycles", "a line of a residual sum", 4.0, 1.5, _CAMPAIGN, "tile", "elementwise"),
    Term("feature_cycles_per_byte", "moving a feature map", 1 / 16, 0.7, _CAMPAIGN, "load", "features"),
    Term("weight_cycles_per_byte", "reading weights", 1 / 8, 0.7, _CAMPAIGN, "load", "weights"),
    Term("layer_cycles", "starting a layer", 500, 1.5, _CAMPAIGN, "alone", "overhead"),
    Term("start_cycles", "a run, call to return", 10_000, 1.0, 0.5, "alone", "overhead"),
)


def _parallelism(run: EngineRun) -> list[int]:
    """Return the rows of the convolution array, the channels of both units, and the rows of the ALU."""
    values = []
    for name in ("pixel_parallel", "channel_parallel", "alu_parallel"):
        value = run.settings.get(name)
        if not value or value % 1:
            raise InvalidValueError(f"measurement.settings.{name}", value, "a positive whole number for dpu")
        values.append(int(value))
    return values


def _roofline(run: EngineRun) -> float:
    """Return the cycles of the convolution array at its peak rate."""
    pixels, channels, _ = _parallelism(run)
    macs = sum(ran.layer.macs for ran in run.layers if ran.layer.operation == Operation.CONV)
    return macs / (pixels * channels**2)


def demands(run: EngineRun) -> list[Demand]:
    """Return what each layer of a block demands; the first one starts the run.

    Raises:
        InvalidValueError: the run lists no layers, or not the parallelism of its architecture.
    """
    if not run.layers:
        raise InvalidValueError("measurement.layers", (), "given for dpu")
    parallelism = _parallelism(run)
    counts = [_counts(ran, *parallelism) for ran in run.layers]
    first, last = run.layers[0].layer, run.layers[-1].layer
    counts[0]["start_cycles"] = 1
    counts[0]["feature_cycles_per_byte"] += math.prod(first.in_shape)
    counts[-1]["feature_cycles_per_byte"] += math.prod(last.out_shape) * (1 + last.residual)
    if "ddr_bytes" in run.counters:
        known = sum(of_layer["feature_cycles_per_byte"] + of_layer["weight_cycles_per_byte"] for of_layer in counts)
        operations = [ran.layer.operation for ran in run.layers]
        spilt = operations.index(Operation.DEPTHWISE) if Operation.DEPTHWISE in operations else 0
        counts[spilt]["feature_cycles_per_byte"] += max(run.counters["ddr_bytes"] - known, 0.0)
    return list(map(Demand, counts))


def _counts(ran: MeasuredLayer, pixels: int, channels: int, alu: int) -> dict[str, float]:
    def lines(shape: Shape) -> int:
        """Return the cycles of one pass of the ALU over a feature map."""
        return -(-shape[0] // channels) * -(-shape[1] // alu) * shape[2]

    layer, operation = ran.layer, ran.layer.operation
    out_lines = lines(layer.out_shape)
    counts = {**dict.fromkeys((term.name for term in _TERMS), 0.0), "layer_cycles": 1.0}
    if operation.has_weights:
        counts["weight_cycles_per_byte"] = layer.macs // (layer.out_height * layer.out_width)
    if operation == Operation.CONV:
        groups = -(-layer.in_channels // channels) * -(-layer.out_channels // channels)
        counts["conv_cycles"] = groups * -(-layer.out_height // pixels) * layer.out_width * layer.taps
    elif operation == Operation.DEPTHWISE:
        counts["depthwise_cycles"] = out_lines * layer.taps
    elif operation == Operation.POOL:
        counts["gate_cycles"] = lines(layer.in_shape)
        if layer.in_channels > _WIDE_GATE_CHANNELS:
            counts["wide_gate_cycles"] = layer.in_channels
    else:
        counts["gate_cycles"] = out_lines
    if ran.activation == Activation.HSWISH:
        counts["swish_cycles"] = out_lines
    if layer.residual:
        counts["residual_cycles"] = out_lines
    return counts


DPU = structural_model("dpu", _TERMS, demands, _roofline, replace(UNHIDDEN, median=0.5))
