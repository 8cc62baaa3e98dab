"""The pictures of a run, each a function from values to a matplotlib figure."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from cost_models.closed_form.estimate import Estimate
from hw_templates.foundation.arrays import FloatArray

# Colour-blind safe (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
_METHOD_STYLES = {"random": (GREY, "s"), "sequential": (ORANGE, "^"), "joint": (BLUE, "o")}
_BOUND_COLOURS = {"compute": BLUE, "ddr": ORANGE, "overhead": GREY}


def plot(width: float, height: float, xlabel: str, ylabel: str = "") -> tuple[Figure, Axes]:
    """Return a figure of a size in inches, and the one plot that fills it."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    return figure, axes


def front_figure(
    fronts: Mapping[str, FloatArray], measured: FloatArray, winner: tuple[float, float, float], rule: str
) -> Figure:
    """Pareto fronts, accuracy against latency and against energy.

    Args:
        fronts: method to its front [n, 3] of predicted accuracy (0 to 1), latency_ms, energy_mj.
        measured: [n, 3] what is left of the joint front once its accuracies are measured.
        winner: [3] the pair that was chosen, with its measured accuracy.
        rule: by which it was chosen, for the legend.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    star = textwrap.fill(f"winner: {rule}", 28)
    panels = zip(figure.subplots(1, 2, sharey=True), (1, 2), ("latency / ms", "energy / mJ"), strict=True)
    for axes, column, label in panels:
        for method, front in fronts.items():
            colour, marker = _METHOD_STYLES[method]
            axes.plot(front[:, column], 100 * front[:, 0], marker, color=colour, markersize=4, alpha=0.45, mew=0)
            x, y = staircase(front[:, column], 100 * front[:, 0])
            axes.plot(x, y, "-", color=colour, linewidth=1.4, label=f"{method}, predicted")
        axes.plot(measured[:, column], 100 * measured[:, 0], "D", color=GREEN, markersize=5, label="joint, measured")
        axes.plot(winner[column], 100 * winner[0], "*", color=RED, markersize=15, mec="white", label=star, zorder=5)
        axes.set_xscale("log")
        label_decades(axes.xaxis)
        axes.set_xlabel(f"{label} (predicted by the cost model)")
        axes.grid(alpha=0.3, which="both")
    figure.axes[0].set_ylabel("validation accuracy / %")
    figure.axes[0].legend(loc="lower right", framealpha=0.9)
    return figure


def label_decades(axis: Axis) -> None:
    """Plain numbers at 1, 1.5, 2, 3, 5 and 7 of each decade of a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def staircase(cost: FloatArray, gain: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The best gain at most at each cost, as the corners of steps."""
    order = np.lexsort((-gain, cost))
    best = np.maximum.accumulate(gain[order])
    rises = np.concatenate([[True], np.diff(best) > 0])
    return np.repeat(cost[order][rises], 2)[1:], np.repeat(best[rises], 2)[:-1]


def layers_figure(estimate: Estimate) -> Figure:
    """Cycles of each layer, coloured by what bounds it, and the bytes it moves."""
    layers = estimate.layers
    rows = np.arange(len(layers))
    figure = Figure(figsize=(10, 1.2 + 0.21 * len(layers)), layout="constrained")
    cycles, data = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for bound, colour in _BOUND_COLOURS.items():
        bars = [layer.latency_cycles if layer.bound == bound else 0 for layer in layers]
        cycles.barh(rows, bars, color=colour, height=0.75, label=f"bound by {bound}")
    compute = [layer.compute_cycles for layer in layers]
    cycles.plot(compute, rows, "|", color="black", markersize=8, label="iterations of the compute loop")
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    cycles.set_yticks(rows, [layer.name for layer in layers], fontsize=7)
    cycles.set_ylim(len(layers) - 0.4, -0.6)
    cycles.set_xlabel("cycles (predicted)")
    data.barh(rows, [layer.ddr_bytes / 1024 for layer in layers], color=GREEN, height=0.75)
    data.set_xlabel("DDR traffic / KiB")
    for axes in (cycles, data):
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
    return figure


def resources_figure(used: Mapping[str, float], available: Mapping[str, float], board: str) -> Figure:
    """Draw the needs of the accelerator for each resource, as shares of what the board has."""
    names = [name for name in used if available[name] > 0]
    shares = [100 * used[name] / available[name] for name in names]
    figure, axes = plot(7, 0.9 + 0.42 * len(names), f"% of {board} (estimated)")
    axes.barh(names, shares, color=BLUE, height=0.6)
    axes.axvline(100, color=RED, linewidth=1.2)
    for row, (name, share) in enumerate(zip(names, shares, strict=True)):
        place, side, colour = (share - 1, "right", "white") if share > 55 else (share + 1, "left", "black")
        text = f"{used[name]:,.0f} of {available[name]:,.0f}"
        axes.text(place, row, text, va="center", ha=side, color=colour, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 105)
    return figure


def training_figure(losses: Sequence[float], phases: Sequence[tuple[str, int]]) -> Figure:
    """Training loss over steps, with the phases of progressive shrinking.

    Args:
        losses: one a step.
        phases: (name, first step) in order.
    """
    figure, axes = plot(8, 3.2, "step", "loss")
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color=BLUE, alpha=0.25, linewidth=0.8)
    window = max(1, len(losses) // 60)
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    axes.plot(steps[window - 1 :], smooth, color=BLUE, linewidth=1.6)
    axes.set_yscale("log")
    label_decades(axes.yaxis)
    for index, (name, first) in enumerate(phases):
        axes.axvline(first, color=GREY, linewidth=0.8, linestyle="--" if index else "-")
        # Short phases follow each other closely: every other name stands lower.
        height = 0.97 - 0.07 * (index % 2)
        axes.annotate(f" {name}", (first, height), xycoords=("data", "axes fraction"), fontsize=8, va="top")
    axes.grid(alpha=0.3)
    return figure


def predictor_figure(measured: FloatArray, predicted: FloatArray, kendall_tau: float) -> Figure:
    """Predicted against measured accuracy of subnets that the predictor was not fitted on."""
    figure, axes = plot(4.2, 4, "measured accuracy / %", "predicted accuracy / %")
    axes.plot(100 * measured, 100 * predicted, "o", color=BLUE, markersize=4, alpha=0.6, mew=0)
    low, high = 100 * min(measured.min(), predicted.min()), 100 * max(measured.max(), predicted.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=1)
    axes.set_title(f"left-out subnets, Kendall tau {kendall_tau:.2f}", fontsize=10)
    axes.grid(alpha=0.3)
    return figure
