"""Hypothesis strategies of layers and mappings."""

from hypothesis import strategies as st

from cost_models.workload import Layer, Operation


def random_layers(pixels: int, channels: int) -> st.SearchStrategy[Layer]:
    """Layers of any operation, of up to so many pixels a side and so many channels."""

    def build(operation: Operation, size: tuple[int, int], widths: tuple[int, int], kernel: int, rest: int) -> Layer:
        height, width = size
        if operation == Operation.POOL:
            return Layer(operation, widths[0], widths[0], height, width, height, width)
        if operation == Operation.SCALE:
            return Layer(operation, widths[0], widths[0], height, width)
        outputs = widths[1] if operation == Operation.CONV else widths[0]
        stride, residual = 1 + rest % 2, rest > 1
        return Layer(operation, widths[0], outputs, height, width, kernel, kernel, stride, kernel // 2, residual)

    return st.builds(
        build,
        st.sampled_from((Operation.CONV, Operation.CONV, Operation.DEPTHWISE, Operation.POOL, Operation.SCALE)),
        st.tuples(st.integers(1, pixels), st.integers(1, pixels)),
        st.tuples(st.integers(1, channels), st.integers(1, channels)),
        st.sampled_from((1, 3, 5, 7)),
        st.integers(0, 3),
    )
