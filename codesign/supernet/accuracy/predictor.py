"""Predicts the accuracy of subnets from that of a few hundred measured ones.

Kernel ridge regression (equally, the mean of a Gaussian process; Rasmussen and Williams 2006, section 2.2) on the
one-hot coded choices of a subnet: k(a, b) = exp(-|a - b|^2 / (2 length^2)).
"""

import io
import itertools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from codesign.supernet.accuracy.oracle import AccuracyOracle, check_each_subnet, checked_accuracy
from codesign.supernet.spaces.space import Genes, Space
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.atomic_file import write_bytes_atomically
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import check_record, reading
from hw_templates.foundation.regular_file import read_regular

FORMAT = 1
_SCALARS: dict[str, Any] = {"format": int, "space": str, "checkpoint": str, "mean": float, "length": float}
_MOST_BYTES = 1 << 30
LEAST_SUBNETS = 20
_LENGTHS = (2.0, 3.0, 5.0, 8.0)
_NOISES = (0.05, 0.2, 0.5, 1.0)
_CHUNK = 512  # a chunk's kernel stays in the cache


def features(space: Space, genes: Genes) -> FloatArray:
    """Return [n, F] one-hot codes of the choices in genotypes [n, G]; those of absent blocks are all 0."""
    return np.ascontiguousarray(space.one_hot(genes, dict(space.genes)), dtype=np.float64)


def _kernel(left: FloatArray, right: FloatArray, length: float) -> FloatArray:
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    kernel: FloatArray = np.exp(squares / (-2 * length**2))
    return kernel


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """An accuracy oracle that only looks at genes.

    Attributes:
        space: whose subnets.
        checkpoint: digest of the weights that were measured.
        genes: [m, G] measured subnets.
        weights: [m] of the kernel with each of them.
        mean: of their accuracies.
        length: of the kernel.

    Raises:
        InvalidValueError: the genes are not of the space, or a number cannot be.
    """

    space: Space
    checkpoint: str
    genes: Genes
    weights: FloatArray
    mean: float
    length: float

    def __post_init__(self) -> None:
        self.space.check_genes(self.genes)
        check_each_subnet("predictor.weights", self.weights, len(self.genes), np.isfinite(self.weights), "finite")
        if not 0 <= self.mean <= 1:
            raise InvalidValueError("predictor.mean", self.mean, "in 0..1")
        if not 0 < self.length < np.inf:
            raise InvalidValueError("predictor.length", self.length, "positive and finite")

    def accuracy(self, genes: Genes) -> FloatArray:
        """Return [n] predicted accuracies, 0 to 1, of genotypes [n, G].

        Raises:
            InvalidValueError: they are not genotypes of the space.
        """
        self.space.check_genes(genes)
        known, asked = features(self.space, self.genes), features(self.space, genes)
        chunks = [asked[start : start + _CHUNK] for start in range(0, len(asked), _CHUNK)]
        sums = [_kernel(chunk, known, self.length) @ self.weights for chunk in chunks]
        accuracy: FloatArray = np.clip(self.mean + np.concatenate([np.empty(0), *sums]), 0, 1)
        return accuracy


def fit_predictor(space: Space, checkpoint: str, genes: Genes, accuracy: FloatArray) -> Predictor:
    """Fit to the measured accuracies [m] of genotypes [m, G].

    Kernel length and noise are those of the least squared error of each subnet when it is left out, which has a
    closed form: with K the kernel plus noise, the error of subnet i is (K^-1 y)_i / (K^-1)_ii (Rasmussen and
    Williams 2006, equation 5.12).

    Raises:
        InvalidValueError: fewer than 20 subnets, other than one accuracy in 0..1 each, or no genotypes of the space.
    """
    if len(genes) < LEAST_SUBNETS:
        raise InvalidValueError("predictor.subnets", len(genes), f"at least {LEAST_SUBNETS}")
    check_each_subnet("predictor.accuracy", accuracy, len(genes), (accuracy >= 0) & (accuracy <= 1), "in 0..1")
    space.check_genes(genes)
    known = features(space, genes)
    mean = float(accuracy.mean())
    candidates = []
    for length, noise in itertools.product(_LENGTHS, _NOISES):
        inverse = np.linalg.inv(_kernel(known, known, length) + noise * np.eye(len(known)))
        weights = inverse @ (accuracy - mean)
        error = float(np.square(weights / np.diag(inverse)).mean())
        candidates.append((error, length, weights))
    _, length, weights = min(candidates, key=lambda candidate: candidate[0])
    return Predictor(space=space, checkpoint=checkpoint, genes=genes, weights=weights, mean=mean, length=length)


@dataclass(frozen=True)
class PredictorQuality:
    """Agreement of predictions for left-out subnets with their measured accuracies, one value a split.

    Attributes:
        kendall_tau, spearman: rank correlations; ties of equal accuracy count as scipy counts them (tau-b).
        rmse: root of the mean squared error, in accuracy.
    """

    kendall_tau: tuple[float, ...]
    spearman: tuple[float, ...]
    rmse: tuple[float, ...]


def judge_predictor(
    space: Space, genes: Genes, accuracy: FloatArray, *, splits: int = 5, left_out: float = 0.2, seed: int = 0
) -> PredictorQuality:
    """Fit on a random part of the measured subnets and compare on the rest, ``splits`` times anew.

    Raises:
        InvalidValueError: too few subnets remain to fit, or fewer than two to compare.
    """
    rng = np.random.default_rng(seed)
    count = round(left_out * len(genes))
    if count < 2:
        raise InvalidValueError("predictor.left_out", left_out, "enough for two subnets to compare")
    rows = []
    for _ in range(splits):
        order = rng.permutation(len(genes))
        out, used = order[:count], order[count:]
        predicted, measured = fit_predictor(space, "", genes[used], accuracy[used]).accuracy(genes[out]), accuracy[out]
        error = float(np.sqrt(np.square(predicted - measured).mean()))
        tau, rho = stats.kendalltau(predicted, measured), stats.spearmanr(predicted, measured)
        rows.append((float(tau.statistic), float(rho.statistic), error))
    return PredictorQuality(*zip(*rows, strict=True))


def measure_sample(
    space: Space,
    oracle: AccuracyOracle,
    count: int,
    *,
    seed: int = 0,
    on_measured: Callable[[int], None] = lambda _: None,
) -> tuple[Genes, FloatArray]:
    """``count`` different random genotypes and their accuracies; ``on_measured`` hears after each how many are done.

    The genotypes follow from the seed, so that with an oracle that remembers, a stopped sampling goes on.

    Raises:
        InvalidValueError: the space has fewer subnets.
    """
    if not 1 <= count <= space.size() // 2:
        raise InvalidValueError("count", count, f"in 1..{space.size() // 2}, half of space {space.name}")
    rng = np.random.default_rng(seed)
    rows: dict[tuple[int, ...], None] = {}
    while len(rows) < count:
        rows |= dict.fromkeys(map(tuple, space.sample_genes(rng, count - len(rows)).tolist()))
    genes = np.array(list(rows), dtype=np.int64)
    accuracy = np.empty(count)
    for index in range(count):
        accuracy[index] = checked_accuracy(oracle, genes[index : index + 1])[0]
        on_measured(index + 1)
    return genes, accuracy


def write_predictor(path: Path, predictor: Predictor) -> None:
    """Replace the file at once, or leave it as it is.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **{"format": FORMAT, **vars(predictor), "space": predictor.space.name})
    write_bytes_atomically(path, buffer.getvalue())


def read_predictor(path: Path, space: Space, checkpoint: str) -> Predictor:
    """Return the predictor of that file, which must be of this space and this checkpoint (its digest).

    Raises:
        StorageError: there is no such file, it is damaged, or of another format, space or checkpoint.
    """
    if not path.exists():
        raise StorageError(f"{path}: no such predictor; fit one first")
    with reading(path, "not a whole predictor; delete it and fit anew"):
        content = _arrays(read_regular(path, _MOST_BYTES))
        version, name, digest, mean, length = (
            check_record(content[field].item(), kind, f"predictor.{field}") for field, kind in _SCALARS.items()
        )
        if not (name + digest).isprintable():
            raise InvalidValueError("predictor.space, checkpoint", (name, digest), "printable")
        if version != FORMAT:
            raise StorageError(f"{path}: predictor format {version}, this version reads {FORMAT}; fit anew")
        if name != space.name:
            raise StorageError(f"{path}: a predictor of space {name}, wanted {space.name}; fit anew")
        if digest != checkpoint:
            raise StorageError(f"{path}: fitted to checkpoint {digest}, wanted {checkpoint}; fit anew")
        genes = content["genes"].astype(np.int64, casting="same_kind")
        weights = content["weights"].astype(np.float64, casting="same_kind")
        return Predictor(space=space, checkpoint=checkpoint, genes=genes, weights=weights, mean=mean, length=length)


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _MOST_BYTES:
        raise InvalidValueError("predictor", f"{size:,} bytes unpacked", f"of {_MOST_BYTES:,} at most")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
