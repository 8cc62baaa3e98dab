"""The operations that layers compute, and the one table of their properties that all packages look up."""

from enum import Enum, StrEnum, auto


class Weights(Enum):
    """The operand that a layer multiplies its input map by.

    DENSE: a kernel for each pair of output and input channels; a result is summed over all input channels.
    CHANNELWISE: a kernel for each channel.
    GATE: one value for each channel, from another map of a single pixel.
    NONE: nothing.
    """

    DENSE = auto()
    CHANNELWISE = auto()
    GATE = auto()
    NONE = auto()


class Reduction(Enum):
    """Way in which the values under a kernel become one result."""

    SUM = auto()
    MEAN = auto()
    MAXIMUM = auto()


class Operation(StrEnum):
    """The operation of a layer; each member is a row of the table.

    A fully connected layer is a 1x1 convolution of a 1x1 map. POOL averages a whole map to 1x1, or its windows of 2x2
    at stride 2; a window that overhangs the map averages what is inside. MAX_POOL takes the greatest of 3x3 windows.
    SCALE multiplies each channel of a map by that channel of a 1x1 map, as squeeze-and-excite does.

    Attributes:
        code: value of a descriptor's ``operation`` in the program format of ``conv_engine``.
        weights: what the input map is multiplied by.
        reduction: how the values under the kernel become one result.
        overhangs: whether the last window along an axis may reach beyond the map; only what is inside then counts.

    >>> Operation("pool").overhangs, Operation.POOL.has_weights
    (True, False)
    """

    code: int
    weights: Weights
    reduction: Reduction
    overhangs: bool

    CONV = "conv", 0, Weights.DENSE
    DEPTHWISE = "depthwise", 1, Weights.CHANNELWISE
    POOL = "pool", 2, Weights.NONE, Reduction.MEAN, True
    MAX_POOL = "max_pool", 4, Weights.NONE, Reduction.MAXIMUM
    SCALE = "scale", 3, Weights.GATE

    def __new__(
        cls, name: str, code: int, weights: Weights, reduction: Reduction = Reduction.SUM, overhangs: bool = False
    ) -> "Operation":
        """Return the member of a row, whose value is its name in files and messages."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.code, member.weights, member.reduction, member.overhangs = code, weights, reduction, overhangs
        return member

    @classmethod
    def of_code(cls, code: int) -> "Operation":
        """Return the operation with this code in a descriptor.

        Raises:
            ValueError: no operation has it.
        """
        for operation in cls:
            if operation.code == code:
                return operation
        raise ValueError(f"{code} is not the code of an operation")

    @property
    def is_dense(self) -> bool:
        """Say whether results are summed over all input channels; else channel c depends on input channel c only."""
        return self.weights is Weights.DENSE

    @property
    def has_weights(self) -> bool:
        """Say whether it has trained weights."""
        return self.weights in (Weights.DENSE, Weights.CHANNELWISE)

    @property
    def reads_gate(self) -> bool:
        """Say whether the weight port reads another layer's map."""
        return self.weights is Weights.GATE

    @property
    def is_weightless(self) -> bool:
        """Say whether the weight port loads nothing."""
        return self.weights is Weights.NONE

    @property
    def averages(self) -> bool:
        """Say whether a result is the mean of the values under the kernel."""
        return self.reduction is Reduction.MEAN

    @property
    def selects(self) -> bool:
        """Say whether a result is one of the values under the kernel, so that it needs no rescaling."""
        return self.reduction is Reduction.MAXIMUM
