"""Run in a copy of the project to which ``board.toml`` was applied."""

from support.pricing.shapes import SMALL
from typer.testing import CliRunner

from codesign.cli.main import app
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients
from cost_models.resources import check_fits
from cost_models.workload import IMAGE, Layer, Node, Operation, Workload
from hw_templates.board import load_board
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.project.render import render


def test_the_board_is_listed_priced_and_rendered() -> None:
    listed = CliRunner().invoke(app, ["boards"])
    assert listed.exit_code == 0
    assert "recipe-board" in listed.stdout
    board = load_board("recipe-board")
    assert AcceleratorSpace(board).choices["clock_mhz"] == (100, 125)
    check_fits(SMALL, board)
    layer = Layer(operation=Operation.CONV, in_channels=256, out_channels=16, in_height=4, in_width=4)
    network = Workload((Node(name="layer", layer=layer, ifmap=IMAGE),))
    ours, slower = (price(network, SMALL, on, load_coefficients()).latency_ms for on in (board, load_board("pynq-z2")))
    assert 0 < ours < slower
    files = render(SMALL, board)
    assert "# The board of the recipe: a file of this recipe" in files["tcl/hardware.tcl"]
