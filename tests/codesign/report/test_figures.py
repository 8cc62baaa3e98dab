import numpy as np

from codesign.report.figures import front_figure, predictor_figure, resources_figure, training_figure
from cost_models.resources import Resources
from hw_templates.board import load_board


def test_fronts_are_drawn_with_their_best_steps() -> None:
    front = np.array([[0.5, 1.0, 2.0], [0.7, 2.0, 3.0], [0.6, 3.0, 1.0]])
    figure = front_figure({"joint": front, "random": front}, front[:2], (0.7, 2.0, 3.0), "first")
    latency = figure.axes[0]
    labels = [line.get_label() for line in latency.lines]
    assert {"joint, predicted", "random, predicted", "joint, measured", "winner: first"} <= set(labels)
    steps = latency.lines[labels.index("joint, predicted")]
    # Latency 3 brings no better accuracy than latency 2, so the steps end there.
    np.testing.assert_allclose(steps.get_xdata(), [1, 2, 2])
    np.testing.assert_allclose(steps.get_ydata(), [50, 50, 70])


def test_resources_that_the_board_lacks_are_left_out() -> None:
    board = load_board("pynq-z2")
    figure = resources_figure(Resources(dsp=110, bram_18k=70, uram=0, lut=26_600, ff=0), board)
    bars = figure.axes[0].patches
    assert board.uram == 0
    assert [bar.get_width() for bar in bars] == [50.0, 25.0, 50.0, 0.0]
    assert [text.get_text() for text in figure.axes[0].texts][:2] == ["110 of 220", "70 of 280"]


def test_phases_are_marked_at_their_first_steps() -> None:
    figure = training_figure(np.linspace(2, 1, 100).tolist(), [("full", 1), ("width", 40)])
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["full", "width"]
    assert [line.get_xdata()[0] for line in figure.axes[0].lines[2:]] == [1, 40]


def test_the_diagonal_of_the_predictor_covers_both_ranges() -> None:
    figure = predictor_figure(np.array([0.5, 0.9]), np.array([0.4, 0.8]), 1.0)
    np.testing.assert_allclose(figure.axes[0].lines[1].get_xdata(), [40, 90])


def test_the_legend_says_by_which_rule_the_winner_was_chosen():
    front = np.array([[0.5, 1.0, 2.0], [0.7, 2.0, 3.0]])
    rule = "fastest within 1 point of the best accuracy"
    figure = front_figure({"joint": front}, front, (0.7, 2.0, 3.0), rule)
    labels = [text.get_text().replace("\n", " ") for text in figure.axes[0].get_legend().get_texts()]
    assert f"winner: {rule}" in labels
    assert [axes.get_xlabel().split(" (")[0] for axes in figure.axes] == ["latency / ms", "energy / mJ"]
