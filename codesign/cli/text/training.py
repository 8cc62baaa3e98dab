"""Text about trained supernets and fitted predictors."""

from collections.abc import Iterator

from codesign.commands.predictor import PredictorResult, Spread
from codesign.commands.train import TrainResult


def train_lines(result: TrainResult) -> Iterator[str]:
    """Yield what was trained, and the accuracies of its ends."""
    yield f"train      {result.space}: {result.subnets:.2g} subnets, {result.steps} steps"
    ends = f"{result.largest_accuracy:.1%}"
    if result.subnets > 1:
        ends = f"largest subnet {ends}, smallest {result.smallest_accuracy:.1%}"
    yield f"           validation accuracy: {ends}"


def predictor_lines(result: PredictorResult) -> Iterator[str]:
    """Yield what was measured, and how well left-out subnets are predicted."""
    accuracies = f"{result.lowest_accuracy:.1%} to {result.highest_accuracy:.1%}"
    yield f"predictor  {result.samples} subnets measured: {accuracies}"
    yield f"           left-out subnets, mean (95 % interval) of {result.splits} splits:"
    ranks = f"Kendall tau {_spread(result.kendall_tau)}, Spearman {_spread(result.spearman)}"
    yield f"           {ranks}, RMSE {_spread(result.rmse, 100)} points"


def _spread(spread: Spread, factor: float = 1) -> str:
    return f"{factor * spread.mean:.2f} ({factor * spread.low:.2f} to {factor * spread.high:.2f})"
