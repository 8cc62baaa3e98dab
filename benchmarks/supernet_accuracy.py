"""How accurate the subnets of the digits supernet are, and how well a predictor ranks them.

Trains the ``digits`` schedule, or takes a finished checkpoint, and measures on the validation part.

    python benchmarks/supernet_accuracy.py
    python benchmarks/supernet_accuracy.py --checkpoint runs/demo/supernet.pt
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.accuracy.predictor import fit_predictor, judge_predictor, measure_sample
from codesign.supernet.data.data_set import DataSet, load_digits
from codesign.supernet.spaces.named import load_space
from codesign.supernet.training.checkpoint import Checkpoint, read_checkpoint
from codesign.supernet.training.schedule import load_schedule
from codesign.supernet.training.shrinking import train

DIGITS = load_space("digits")
RANDOM_SUBNETS = 50
SPLITS = 10


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.4g} {unit}", flush=True)


def trained(data: DataSet) -> Checkpoint:
    """A supernet trained for the occasion."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        checkpoint = train(DIGITS, data, load_schedule("digits"), Path(folder) / "supernet.pt")
        figure("supernet_training_time", time.perf_counter() - start, "s")
    return checkpoint


def report_accuracies(oracle: MeasuredAccuracy) -> None:
    """Accuracy of both ends of the space and of random subnets."""
    for name, subnet in (("full_net_accuracy", DIGITS.largest()), ("smallest_subnet_accuracy", DIGITS.smallest())):
        figure(name, 100 * float(oracle.accuracy(DIGITS.encode(subnet)[None])[0]), "%")
    genes = DIGITS.sample_genes(np.random.default_rng(1), RANDOM_SUBNETS)
    start = time.perf_counter()
    accuracies = 100 * oracle.accuracy(genes)
    figure("subnet_measuring_time", 1000 * (time.perf_counter() - start) / RANDOM_SUBNETS, "ms")
    figure("random_subnets_accuracy_mean", float(accuracies.mean()), "%")
    figure("random_subnets_accuracy_deviation", float(accuracies.std(ddof=1)), "%")
    figure("random_subnets_accuracy_least", float(accuracies.min()), "%")


def report_predictor(oracle: MeasuredAccuracy, digest: str, count: int) -> None:
    """Rank correlation on left-out subnets, and speed."""
    genes, accuracy = measure_sample(DIGITS, oracle, count)
    quality = judge_predictor(DIGITS, genes, accuracy, splits=SPLITS)
    figure("predictor_kendall_tau", float(np.mean(quality.kendall_tau)), "1")
    figure("predictor_kendall_tau_deviation", float(np.std(quality.kendall_tau, ddof=1)), "1")
    figure("predictor_spearman", float(np.mean(quality.spearman)), "1")
    figure("predictor_rmse", 100 * float(np.mean(quality.rmse)), "%")
    predictor = fit_predictor(DIGITS, digest, genes, accuracy)
    many = DIGITS.sample_genes(np.random.default_rng(2), 100_000)
    start = time.perf_counter()
    predictor.accuracy(many)
    figure("predictor_subnets_per_second", len(many) / (time.perf_counter() - start), "1/s")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="of a finished digits training; default: train one")
    parser.add_argument("--subnets", type=int, default=400, help="measured for the predictor (default: 400)")
    arguments = parser.parse_args()
    data = load_digits()
    checkpoint = read_checkpoint(arguments.checkpoint, DIGITS) if arguments.checkpoint else trained(data)
    oracle = MeasuredAccuracy(checkpoint, data)
    report_accuracies(oracle)
    report_predictor(oracle, checkpoint.digest, arguments.subnets)


if __name__ == "__main__":
    main()
