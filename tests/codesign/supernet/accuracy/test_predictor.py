import dataclasses
import zipfile

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from support.mutations import drive, mutated_bytes, mutated_fields
from support.networks.named_spaces import DIGITS
from support.networks.small_space import SMALL

from codesign.supernet.accuracy.predictor import (
    Predictor,
    features,
    fit_predictor,
    judge_predictor,
    measure_sample,
    read_predictor,
    write_predictor,
)
from hw_templates.foundation.errors import InvalidValueError, StorageError


def true_accuracy(genes):
    """A made-up truth: more of everything helps, resolution most, with diminishing returns of depth."""
    present = np.sum([*DIGITS.present(genes).values()], axis=0)
    sizes = DIGITS.canonical(genes).sum(axis=1)
    return 0.90 + 0.02 * np.tanh(genes[:, 0]) + 0.01 * np.sqrt(present) + 0.001 * sizes


class Recorder:
    """An oracle of the made-up truth that keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def accuracy(self, genes):
        self.asked += genes.tolist()
        return true_accuracy(genes)


@pytest.fixture(scope="module")
def sample():
    genes = DIGITS.sample_genes(np.random.default_rng(0), 200)
    return genes, true_accuracy(genes)


def test_one_subnet_has_no_features():
    one = DIGITS.only(DIGITS.largest())
    assert features(one, one.encode(one.largest())[None]).shape == (1, 0)


@pytest.fixture(scope="module")
def predictor(sample):
    return fit_predictor(DIGITS, "abc", *sample)


def test_features_are_one_hot_and_blind_to_absent_blocks():
    rows = np.random.default_rng(1).integers(
        [len(choices) for _, choices in DIGITS.genes], size=(50, len(DIGITS.genes))
    )
    codes = features(DIGITS, rows)
    assert (codes == features(DIGITS, DIGITS.canonical(rows))).all()
    # One for the resolution, one for each stage's depth, two for each block.
    assert (codes.sum(axis=1) == 1 + len(DIGITS.stages) + 2 * np.sum([*DIGITS.present(rows).values()], axis=0)).all()
    distinct = {tuple(row) for row in codes.tolist()}
    assert len(distinct) == len({tuple(row) for row in DIGITS.canonical(rows).tolist()})


def test_left_out_subnets_are_ranked(sample):
    quality = judge_predictor(DIGITS, *sample, splits=4)
    assert [len(values) for values in dataclasses.astuple(quality)] == [4, 4, 4]
    assert min(quality.kendall_tau) > 0.85
    assert min(quality.spearman) > 0.95
    assert max(quality.rmse) < 0.3 * sample[1].std()


def test_noise_alone_is_not_ranked(sample):
    noise = np.random.default_rng(2).normal(0.95, 0.01, len(sample[0]))
    quality = judge_predictor(DIGITS, sample[0], noise, splits=10)
    assert abs(np.mean(quality.kendall_tau)) < 0.15
    assert np.mean(quality.rmse) < 0.012


def test_predictions_are_those_of_a_gaussian_process(sample, predictor):
    """scikit-learn's regression with the chosen length, at the noise that gives the chosen weights."""
    genes, accuracy = sample
    others = DIGITS.sample_genes(np.random.default_rng(3), 50)
    known = features(DIGITS, genes)
    peers = [
        GaussianProcessRegressor(RBF(predictor.length), alpha=noise, optimizer=None).fit(
            known, accuracy - accuracy.mean()
        )
        for noise in (0.05, 0.2, 0.5, 1.0)
    ]
    differences = [
        np.abs(peer.predict(features(DIGITS, others)) + accuracy.mean() - predictor.accuracy(others)).max()
        for peer in peers
    ]
    assert min(differences) < 1e-9


def test_the_fit_minimises_the_error_on_left_out_subnets(sample):
    """The closed form of leaving one out, against leaving each out in turn."""
    genes, accuracy = sample[0][:25], sample[1][:25] + np.random.default_rng(4).normal(0, 0.005, 25)
    predictor = fit_predictor(DIGITS, "abc", genes, accuracy)
    known, centred = features(DIGITS, genes), accuracy - accuracy.mean()
    errors = {}
    for length in (2.0, 3.0, 5.0, 8.0):
        for noise in (0.05, 0.2, 0.5, 1.0):
            misses = []
            for out in range(25):
                rest = np.arange(25) != out
                peer = GaussianProcessRegressor(RBF(length), alpha=noise, optimizer=None).fit(
                    known[rest], centred[rest]
                )
                misses.append(peer.predict(known[out : out + 1])[0] - centred[out])
            errors[length, noise] = np.square(misses).mean()
    best_length, _ = min(errors, key=errors.get)
    assert predictor.length == best_length


def test_predictions_are_accuracies(sample):
    genes, accuracy = sample
    wild = fit_predictor(DIGITS, "abc", genes, np.where(accuracy > np.median(accuracy), 1.0, 0.0))
    predicted = wild.accuracy(DIGITS.sample_genes(np.random.default_rng(5), 5000))
    assert predicted.min() >= 0
    assert predicted.max() <= 1
    assert predicted.std() > 0.1
    assert wild.accuracy(genes[:0]).shape == (0,)


def test_samples_are_distinct_and_follow_from_the_seed():
    oracle, done = Recorder(), []
    genes, accuracy = measure_sample(DIGITS, oracle, 60, seed=3, on_measured=done.append)
    assert done == list(range(1, 61))
    assert oracle.asked == genes.tolist()
    assert len({tuple(row) for row in genes.tolist()}) == 60
    assert (accuracy == true_accuracy(genes)).all()
    assert (measure_sample(DIGITS, Recorder(), 60, seed=3)[0] == genes).all()
    assert (measure_sample(DIGITS, Recorder(), 60, seed=4)[0] != genes).any()


def test_predictors_come_back(predictor, tmp_path):
    path = tmp_path / "predictor.npz"
    write_predictor(path, predictor)
    read = read_predictor(path, DIGITS, "abc")
    genes = DIGITS.sample_genes(np.random.default_rng(6), 100)
    assert (read.accuracy(genes) == predictor.accuracy(genes)).all()


@pytest.mark.parametrize("keep", [0, 10, 1000, -1])
def test_a_cut_off_predictor_is_named(predictor, tmp_path, keep):
    path = tmp_path / "predictor.npz"
    write_predictor(path, predictor)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StorageError, match=r"predictor\.npz: is corrupt \(.*\); not a whole predictor; delete it"):
        read_predictor(path, DIGITS, "abc")


def test_foreign_predictors_are_refused(predictor, tmp_path):
    path = tmp_path / "predictor.npz"
    with pytest.raises(StorageError, match="no such predictor"):
        read_predictor(path, DIGITS, "abc")
    write_predictor(path, predictor)
    with pytest.raises(StorageError, match="of space digits, wanted other"):
        read_predictor(path, dataclasses.replace(DIGITS, name="other"), "abc")
    with pytest.raises(StorageError, match="checkpoint abc, wanted def"):
        read_predictor(path, DIGITS, "def")
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(StorageError, match="not a whole predictor"):
        read_predictor(path, DIGITS, "abc")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(StorageError, match="not a whole predictor"):
        read_predictor(tmp_path / "array.npy", DIGITS, "abc")


def test_bad_requests_are_refused(sample, predictor):
    genes, accuracy = sample
    with pytest.raises(InvalidValueError, match=r"predictor\.subnets: must be at least 20, got 19"):
        fit_predictor(DIGITS, "abc", genes[:19], accuracy[:19])
    with pytest.raises(InvalidValueError, match=r"predictor\.accuracy"):
        fit_predictor(DIGITS, "abc", genes, accuracy[:-1])
    with pytest.raises(InvalidValueError, match=r"genes\.resolution"):
        fit_predictor(DIGITS, "abc", genes + 3, accuracy)
    with pytest.raises(InvalidValueError, match="genes"):
        predictor.accuracy(genes[:, :5])
    with pytest.raises(InvalidValueError, match=r"predictor\.left_out"):
        judge_predictor(DIGITS, genes, accuracy, left_out=0.0)
    with pytest.raises(InvalidValueError, match="count"):
        measure_sample(DIGITS, Recorder(), 0)
    with pytest.raises(InvalidValueError, match=r"predictor\.accuracy\[3\]: must be in 0\.\.1, got nan"):
        fit_predictor(DIGITS, "abc", genes, np.where(np.arange(len(genes)) == 3, np.nan, accuracy))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("weights", np.full(200, np.nan), r"predictor\.weights\[0\]: must be finite, got nan"),
        ("weights", np.r_[np.zeros(199), np.inf], r"predictor\.weights\[199\]: must be finite, got inf"),
        ("weights", np.zeros(3), r"predictor\.weights: must be of shape \(200,\), one a subnet, got \(3,\)"),
        ("weights", np.full(200, "a"), r"is corrupt .*Cannot cast.*; not a whole predictor"),
        ("mean", np.nan, r"predictor\.mean: must be in 0\.\.1, got nan"),
        ("mean", 7.5, r"predictor\.mean: must be in 0\.\.1, got 7\.5"),
        ("length", 0.0, r"predictor\.length: must be positive and finite, got 0\.0"),
        ("length", np.inf, r"predictor\.length: must be positive and finite, got inf"),
        ("genes", np.full((200, 5), 0), r"genes: must be of shape"),
        ("genes", np.full((200, len(DIGITS.genes)), 99), r"genes\.resolution: must be an index"),
        ("genes", np.full((200, len(DIGITS.genes)), 0.5), r"is corrupt .*Cannot cast.*; not a whole predictor"),
    ],
)
def test_numbers_that_no_fit_makes_are_refused(predictor, tmp_path, field, value, message):
    path = tmp_path / "predictor.npz"
    write_predictor(path, predictor)
    with np.load(path) as archive:
        content = dict(archive)
    np.savez(path, **{**content, field: value})
    with pytest.raises(StorageError, match=rf"predictor\.npz: {message}.*; delete it and fit anew"):
        read_predictor(path, DIGITS, "abc")


@pytest.mark.parametrize("answer", [np.nan, np.inf, -0.1, 7.5])
def test_an_oracle_that_knows_no_accuracy_is_refused(answer):
    class Broken:
        def accuracy(self, genes):
            return np.full(len(genes), answer)

    with pytest.raises(InvalidValueError, match=rf"oracle\.accuracy\[0\]: must be in 0\.\.1, got {answer}"):
        measure_sample(DIGITS, Broken(), 30)


HOSTILE_ARRAYS = [
    np.array(value)
    for value in (
        np.nan, np.inf, -1, 0, 10**18, True, 1 + 1j, "", "x\ny", "\x1b[31m", b"x", [], [[]], [np.nan] * 30, [0.5] * 30,
        [-1] * 30, ["a"] * 30, np.datetime64("2000-01-01"), np.zeros((30, 4)), np.full((30, 4), 9), np.zeros((30, 0)),
        np.zeros(3, dtype=[("a", "i4")]), np.uint64(2**64 - 1), np.zeros((2, 3, 4)),
    )
]  # fmt: skip


def test_any_predictor_is_read_or_refused_in_one_line(tmp_path):
    path, rng = tmp_path / "predictor.npz", np.random.default_rng(0)
    genes = np.unique(SMALL.canonical(SMALL.sample_genes(rng, 300)), axis=0)
    write_predictor(
        path,
        Predictor(
            space=SMALL, checkpoint="abc", genes=genes, weights=rng.normal(size=len(genes)), mean=0.5, length=2.0
        ),
    )
    whole = path.read_bytes()
    with np.load(path) as archive:
        fields = dict(archive)

    def read(content):
        # To truncate an old file waits for the disk.
        path.unlink()
        path.write_bytes(content) if isinstance(content, bytes) else np.savez(path, **content)
        answers = read_predictor(path, SMALL, "abc").accuracy(genes)
        assert ((answers >= 0) & (answers <= 1)).all()

    accepted, refused = drive(read, mutated_bytes(whole, 1_000))
    assert accepted + refused == 1_000
    assert refused > 700
    accepted, refused = drive(read, mutated_fields(fields, HOSTILE_ARRAYS, 1_000))
    assert accepted > 5
    assert refused > 700


def test_a_predictor_that_unpacks_to_more_than_memory_holds_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "predictor.npz"
    monkeypatch.setattr("codesign.supernet.accuracy.predictor._MOST_BYTES", 10_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.npy", bytes(10_001))
    with pytest.raises(StorageError, match=r"predictor: must be of 10,000 at most, got '10,001 bytes unpacked'"):
        read_predictor(path, DIGITS, "abc")
