"""Prices of workloads on accelerators."""

from cost_models.closed_form import estimate
from cost_models.closed_form.estimate import Estimate
from cost_models.coefficients import Coefficients, load_coefficients
from cost_models.workload import Workload
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator


def price(
    workload: Workload, accelerator: Accelerator, board: Board, coefficients: Coefficients | None = None
) -> Estimate:
    """Predict latency and energy of a workload on an accelerator, each layer with its fastest mapping.

    Args:
        workload: the layers, such as :func:`codesign.lower` makes of a subnet.
        accelerator: its parameters; :func:`codesign.check_fits` says whether the board holds it.
        board: the board.
        coefficients: of the cost model; by default the prior ones, which were fitted to no board.

    Raises:
        MappingError: a layer has no legal mapping; names it, and the least buffers that would do.

    >>> import codesign
    >>> board, space = codesign.load_board("pynq-z2"), codesign.load_space("digits")
    >>> accelerator = codesign.Accelerator(
    ...     pe_rows=8, pe_cols=8, pe_pixels=4, pack=2, ifmap_kib=16, weight_kib=16, ofmap_kib=16,
    ...     axi_bits=64, clock_mhz=150,
    ... )
    >>> estimate = codesign.price(codesign.lower(space, space.largest()), accelerator, board)
    >>> f"{estimate.latency_ms:.3f} ms, {len(estimate.layers)} layers"
    '0.685 ms, 52 layers'
    """
    return estimate.price(workload, accelerator, board, coefficients or load_coefficients())
