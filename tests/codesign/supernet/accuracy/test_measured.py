import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.mutations import drive, mutated_json
from support.networks.named_spaces import DIGITS

from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES, MeasuredAccuracy, _Entry, _recorded
from codesign.supernet.data.data_set import Split, load_digits
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.training.checkpoint import Checkpoint
from codesign.supernet.training.schedule import load_schedule
from hw_templates.foundation.errors import InvalidValueError, StorageError


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def untrained(seed):
    return Checkpoint(
        space=DIGITS,
        schedule=load_schedule("digits"),
        seed=seed,
        step=0,
        losses=(),
        weights=Supernet(DIGITS, seed).state_dict(),
        teacher={},
        optimiser={},
    )


@pytest.fixture(scope="module")
def checkpoint():
    return untrained(0)


@pytest.fixture(scope="module")
def genes():
    return DIGITS.sample_genes(np.random.default_rng(0), 4)


@pytest.mark.parametrize("split", [Split.VALIDATION, Split.TEST])
def test_accuracy_is_that_of_a_plain_network(checkpoint, digits, genes, plain_network, split):
    measured = MeasuredAccuracy(checkpoint, digits, split).accuracy(genes)
    for row, accuracy in zip(genes, measured, strict=True):
        subnet = DIGITS.decode(row)
        network = plain_network(checkpoint.supernet(), subnet)
        with torch.no_grad():
            network(digits.resized(Split.TRAIN, subnet.resolution)[:CALIBRATION_IMAGES])
            logits = network.eval()(digits.resized(split, subnet.resolution))
        labels = digits.labels[split]
        # torch keeps unbiased variances: an image on the edge between two classes may fall on the other side.
        assert accuracy == pytest.approx((logits.argmax(1) == labels).double().mean().item(), abs=2 / len(labels))


def test_the_answer_does_not_depend_on_the_batch_of_genotypes(checkpoint, digits, genes):
    together = MeasuredAccuracy(checkpoint, digits).accuracy(genes)
    alone = [MeasuredAccuracy(checkpoint, digits).accuracy(row[None])[0] for row in genes]
    assert together.tolist() == alone


def forbid_measuring(oracle, monkeypatch):
    monkeypatch.setattr(oracle, "_measure", lambda row: pytest.fail(f"measured {row} again"))


def test_results_are_remembered_on_disk(checkpoint, digits, genes, tmp_path, monkeypatch):
    cache = tmp_path / "folder" / "accuracy.jsonl"
    first = MeasuredAccuracy(checkpoint, digits, cache=cache).accuracy(genes)
    again = MeasuredAccuracy(checkpoint, digits, cache=cache)
    forbid_measuring(again, monkeypatch)
    assert again.accuracy(genes[::-1]).tolist() == first[::-1].tolist()
    assert len(cache.read_text().splitlines()) == 4


def test_equal_subnets_are_measured_once(checkpoint, digits, tmp_path):
    cache = tmp_path / "accuracy.jsonl"
    row = DIGITS.encode(DIGITS.smallest())
    absent = row.copy()
    absent[DIGITS.columns["stage3.block3.kernel"]] = 1
    accuracy = MeasuredAccuracy(checkpoint, digits, cache=cache).accuracy(np.stack([row, absent, row]))
    assert len(set(accuracy.tolist())) == 1
    assert len(cache.read_text().splitlines()) == 1


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_cut_off_last_line_costs_one_measurement(checkpoint, digits, genes, tmp_path, cut):
    cache = tmp_path / "accuracy.jsonl"
    expected = MeasuredAccuracy(checkpoint, digits, cache=cache).accuracy(genes[:2])
    whole = cache.read_bytes()
    cache.write_bytes(whole[:-cut])
    after = MeasuredAccuracy(checkpoint, digits, cache=cache)
    assert after.accuracy(genes[:2]).tolist() == expected.tolist()
    lines = cache.read_text().splitlines()
    if cut > 1:
        assert lines[-1] == whole.decode().splitlines()[-1]
    assert [json.loads(line)["genes"] for line in lines[:1]] == [genes[0].tolist()]
    final = MeasuredAccuracy(checkpoint, digits, cache=cache)
    assert final.accuracy(genes[:2]).tolist() == expected.tolist()


def test_results_of_other_weights_data_splits_and_calibrations_are_kept_apart(
    checkpoint, digits, genes, tmp_path, monkeypatch
):
    cache = tmp_path / "accuracy.jsonl"
    MeasuredAccuracy(checkpoint, digits, cache=cache).accuracy(genes[:1])
    for other in (
        MeasuredAccuracy(untrained(1), digits, cache=cache),
        MeasuredAccuracy(checkpoint, dataclasses.replace(digits, name="others"), cache=cache),
        MeasuredAccuracy(checkpoint, digits, Split.TEST, cache=cache),
    ):
        other.accuracy(genes[:1])
    monkeypatch.setattr("codesign.supernet.accuracy.measured.CALIBRATION_IMAGES", 128)
    MeasuredAccuracy(checkpoint, digits, cache=cache).accuracy(genes[:1])
    assert len(cache.read_text().splitlines()) == 5
    assert json.loads(cache.read_text().splitlines()[0])["data"].startswith("digits-")


def test_bad_requests_are_refused(checkpoint, digits, tmp_path):
    oracle = MeasuredAccuracy(checkpoint, digits)
    with pytest.raises(InvalidValueError, match="genes"):
        oracle.accuracy(np.zeros((2, 5), dtype=np.int64))
    with pytest.raises(InvalidValueError, match=r"genes\.resolution"):
        oracle.accuracy(np.full((1, len(DIGITS.genes)), 3))


def test_an_unusable_cache_is_named(checkpoint, digits, genes, tmp_path):
    with pytest.raises(StorageError, match="cannot be read"):
        MeasuredAccuracy(checkpoint, digits, cache=tmp_path)
    (tmp_path / "file").write_text("")
    oracle = MeasuredAccuracy(checkpoint, digits, cache=Path(tmp_path / "file" / "accuracy.jsonl"))
    with pytest.raises(StorageError, match="cannot be written"):
        oracle.accuracy(genes[:1])


@pytest.mark.parametrize("accuracy", ["NaN", "Infinity", "7.5", "-0.1", "true", '"0.5"', "null", "[" * 100_000])
def test_an_accuracy_that_cannot_be_is_measured_again(checkpoint, digits, genes, tmp_path, accuracy):
    cache = tmp_path / "accuracy.jsonl"
    expected = MeasuredAccuracy(checkpoint, digits, cache=cache).accuracy(genes[:1])
    entry = json.dumps({**json.loads(cache.read_text()), "accuracy": "here"})
    cache.write_text(entry.replace('"here"', accuracy) + "\n")
    assert MeasuredAccuracy(checkpoint, digits, cache=cache).accuracy(genes[:1]).tolist() == expected.tolist()
    assert len(cache.read_text().splitlines()) == 2


def test_any_file_of_results_is_read_but_for_what_cannot_be(tmp_path):
    """A cache that another program spoils costs measurements, and never holds an accuracy that cannot be."""
    path, kept = tmp_path / "accuracies.jsonl", []
    key = {"checkpoint": "0123456789abcdef", "data": "digits-01234567", "split": "test", "calibration_images": 256}
    entry = {**key, "genes": [0, 2, 1], "accuracy": 0.5}

    def read(content):
        path.unlink(missing_ok=True)
        path.write_bytes(content + b"\n" + json.dumps({**entry, "genes": [1, 1, 1]}).encode())
        kept.append(dict(_recorded(path, _Entry(**key, genes=(), accuracy=0.0))))

    accepted, refused = drive(read, mutated_json(entry, 2_500))
    assert (accepted, refused) == (2_500, 0)
    assert all(type(one) is float and 0 <= one <= 1 for results in kept for one in results.values())
    whole = sum(len(results) == 2 for results in kept)
    assert 20 < whole < 1_500
