import pytest

from bitstreams.building.comparison import Quantity, compare
from bitstreams.building.reports import CoSimulation, Synthesis, Timing, Utilisation
from cost_models.resources import estimate_resources
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator

ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=2,
    pack=1,
    ifmap_kib=8,
    weight_kib=8,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
    depthwise_lanes=8,
)
BOARD = load_board("pynq-z2")


@pytest.mark.parametrize(
    ("figure", "deviation"),
    [
        (Quantity("lut", 100.0, None, None), None),
        (Quantity("lut", 100.0, 150.0, None), 0.5),
        (Quantity("lut", 100.0, 150.0, 80.0), -0.2),
        (Quantity("uram", 0.0, 0.0, 0.0), 0.0),
        (Quantity("uram", 0.0, None, 2.0), None),
    ],
)
def test_the_deviation_is_that_of_what_came_last(figure: Quantity, deviation: float | None) -> None:
    assert figure.deviation == (None if deviation is None else pytest.approx(deviation))


def test_unknown_reports_leave_the_prediction_alone() -> None:
    figures = compare(ACCELERATOR, BOARD, 1234.0, None, Synthesis(), CoSimulation(), Timing(), Utilisation())
    needed = estimate_resources(ACCELERATOR, BOARD)
    assert [figure.name for figure in figures] == [
        "dsp",
        "bram_18k",
        "uram",
        "lut",
        "ff",
        "clock_mhz",
        "latency_cycles",
    ]
    assert [figure.predicted for figure in figures] == [*vars(needed).values(), 100, 1234]
    assert all(figure.synthesis is None and figure.implementation is None for figure in figures)
    assert all(figure.deviation is None for figure in figures)


def test_slack_says_how_fast_the_design_could_run() -> None:
    slack, periods = Timing(wns_ns=2.0), Synthesis(estimated_clock_ns=8.0)
    figures = compare(ACCELERATOR, BOARD, 1.0, 100.0, periods, CoSimulation(True, 50.0), slack, Utilisation(dsp=3))
    by_name = {figure.name: figure for figure in figures}
    assert by_name["clock_mhz"] == Quantity("clock_mhz", 100.0, 125.0, 125.0)
    assert by_name["latency_cycles"] == Quantity("latency_cycles", 1.0, None, 50.0)
    assert by_name["dsp"].implementation == 3
