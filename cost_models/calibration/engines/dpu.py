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

from dataclasses import dataclass

from cost_models.calibration.structural import Demand, Role, StructuralModel, terms
from cost_models.calibration.timing_model import Parameter
from cost_models.measurements.engine_run import EngineRun, MeasuredLayer
from cost_models.workload import Activation, Layer, Operation
from hw_templates.foundation.errors import InvalidValueError

_CAMPAIGN = 0.2
_WIDE_GATE_CHANNELS = 512


@dataclass(frozen=True)
class _Parallelism:
    pixels: int
    channels: int
    alu: int

    @classmethod
    def of(cls, run: EngineRun) -> "_Parallelism":
        values = []
        for name in ("pixel_parallel", "channel_parallel", "alu_parallel"):
            value = run.settings.get(name)
            if value is None or value < 1 or value % 1:
                raise InvalidValueError(f"measurement.settings.{name}", value, "a positive whole number for dpu")
            values.append(int(value))
        return cls(*values)

    def groups(self, channels: int) -> int:
        return -(-channels // self.channels)

    def lines(self, channels: int, height: int, width: int) -> int:
        """Return the cycles of one pass of the ALU over a feature map."""
        return self.groups(channels) * -(-height // self.alu) * width


def _roofline(run: EngineRun) -> float:
    """Return the cycles of the convolution array at its peak rate."""
    parallel = _Parallelism.of(run)
    macs = sum(ran.layer.macs for ran in run.layers if ran.layer.operation == Operation.CONV)
    return macs / (parallel.pixels * parallel.channels**2)


def _demands(run: EngineRun) -> list[Demand]:
    if not run.layers:
        raise InvalidValueError("measurement.layers", (), "given for dpu")
    parallel = _Parallelism.of(run)
    demands = [_layer(ran, parallel) for ran in run.layers]
    first, last = run.layers[0].layer, run.layers[-1].layer
    _add(demands[0], "feature_cycles_per_byte", first.in_channels * first.in_height * first.in_width)
    out_bytes = last.out_channels * last.out_height * last.out_width
    _add(demands[-1], "feature_cycles_per_byte", out_bytes * (2 if last.residual else 1))
    _add(demands[0], "start_cycles", 1)
    traffic = run.counters.get("ddr_bytes")
    if traffic is not None:
        known = sum(
            demand.counts.get(name, 0.0)
            for demand in demands
            for name in ("feature_cycles_per_byte", "weight_cycles_per_byte")
        )
        spilt = [i for i, ran in enumerate(run.layers) if ran.layer.operation == Operation.DEPTHWISE]
        _add(demands[spilt[0] if spilt else 0], "feature_cycles_per_byte", max(traffic - known, 0.0))
    return demands


def _add(demand: Demand, name: str, count: float) -> None:
    demand.counts[name] = demand.counts.get(name, 0.0) + count


def _layer(ran: MeasuredLayer, parallel: _Parallelism) -> Demand:
    layer = ran.layer
    counts = {"layer_cycles": 1.0}
    lines = parallel.lines(layer.out_channels, layer.out_height, layer.out_width)
    if layer.operation == Operation.CONV:
        counts["conv_cycles"] = _conv_cycles(layer, parallel)
        counts["weight_cycles_per_byte"] = (
            layer.in_channels * layer.out_channels * layer.kernel_height * layer.kernel_width
        )
    elif layer.operation == Operation.DEPTHWISE:
        counts["depthwise_cycles"] = lines * layer.kernel_height * layer.kernel_width
        counts["weight_cycles_per_byte"] = layer.out_channels * layer.kernel_height * layer.kernel_width
    elif layer.operation == Operation.POOL:
        counts["gate_cycles"] = parallel.lines(layer.in_channels, layer.in_height, layer.in_width)
        if layer.in_channels > _WIDE_GATE_CHANNELS:
            counts["wide_gate_cycles"] = layer.in_channels
    else:
        counts["gate_cycles"] = lines
    if ran.activation == Activation.HSWISH:
        counts["swish_cycles"] = lines
    if layer.residual:
        counts["residual_cycles"] = lines
    return Demand(counts)


def _conv_cycles(layer: Layer, parallel: _Parallelism) -> int:
    groups = parallel.groups(layer.in_channels) * parallel.groups(layer.out_channels)
    pixels = -(-layer.out_height // parallel.pixels) * layer.out_width
    return groups * pixels * layer.kernel_height * layer.kernel_width


DPU = StructuralModel(
    engine="dpu",
    terms=terms(
        # name, meaning, median, spread, spread over campaigns, role, kind
        ("conv_cycles", "a step of the convolution array", 1.0, 0.2, 0.05, Role.TILE, "compute"),
        ("depthwise_cycles", "a step of the ALU in a depthwise kernel", 1.0, 0.1, 0.05, Role.TILE, "compute"),
        ("swish_cycles", "a line of a hard swish", 8.0, 1.0, _CAMPAIGN, Role.TILE, "elementwise"),
        ("gate_cycles", "a line of a gate's pool or product", 4.0, 1.0, _CAMPAIGN, Role.TILE, "elementwise"),
        (
            "wide_gate_cycles",
            "a channel of a gate of more than 512 channels",
            40.0,
            1.0,
            _CAMPAIGN,
            Role.ALONE,
            "elementwise",
        ),
        ("residual_cycles", "a line of a residual sum", 4.0, 1.5, _CAMPAIGN, Role.TILE, "elementwise"),
        ("feature_cycles_per_byte", "moving a feature map", 1 / 16, 0.7, _CAMPAIGN, Role.LOAD, "features"),
        ("weight_cycles_per_byte", "reading weights", 1 / 8, 0.7, _CAMPAIGN, Role.LOAD, "weights"),
        ("layer_cycles", "starting a layer", 500, 1.5, _CAMPAIGN, Role.ALONE, "overhead"),
        ("start_cycles", "a run, call to return", 10_000, 1.0, 0.5, Role.ALONE, "overhead"),
    ),
    unhidden=Parameter(
        name="unhidden",
        meaning="share of the shorter of two overlapping times that remains visible",
        median=0.5,
        spread=1.0,
        campaign_spread=0.3,
    ),
    demands=_demands,
    roofline=_roofline,
)
