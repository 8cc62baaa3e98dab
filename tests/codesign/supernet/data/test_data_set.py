import numpy as np
import pytest
import torch
from sklearn import datasets

from codesign.supernet.data.augmentation import change, draw_changes
from codesign.supernet.data.data_set import ChosenImages, Split, StoredImages, load_digits
from codesign.supernet.training.schedule import Augmentation
from hw_templates.foundation.errors import InvalidValueError


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_every_digit_is_in_exactly_one_part(digits):
    parts = torch.cat([digits.images[split].pixels.flatten(1) for split in Split])
    raw = torch.from_numpy(datasets.load_digits().data.astype(np.float32)) / 16
    assert sorted(parts.tolist()) == sorted(raw.tolist())


def test_images_keep_their_labels(digits):
    raw = datasets.load_digits()
    label_of = {tuple(image): label for image, label in zip((raw.data / 16).tolist(), raw.target, strict=True)}
    for split in Split:
        for image, label in zip(
            digits.images[split].pixels.flatten(1).tolist(), digits.labels[split].tolist(), strict=True
        ):
            assert label_of[tuple(image)] == label


def test_parts_are_stratified(digits):
    counts = np.array([np.bincount(digits.labels[split], minlength=10) for split in Split])
    total = counts.sum(axis=0)
    assert np.abs(counts - np.outer([0.6, 0.2, 0.2], total)).max() <= 1


def test_the_split_is_always_the_same(digits):
    again = load_digits()
    assert all(torch.equal(digits.images[split].pixels, again.images[split].pixels) for split in Split)
    # Written down, because figures of different versions are compared.
    assert [len(digits.labels[split]) for split in Split] == [1078, 360, 359]
    assert digits.labels[Split.TEST][:10].tolist() == [5, 4, 6, 6, 9, 1, 0, 1, 4, 9]


def test_training_pixels_are_normalised(digits):
    pixels = digits.resized(Split.TRAIN, 8)
    assert pixels.dtype == torch.float32
    assert abs(float(pixels.mean())) < 1e-4
    assert abs(float(pixels.std()) - 1) < 1e-4
    assert torch.equal(pixels, digits.normalise(digits.images[Split.TRAIN].pixels))


def test_resizing_is_bilinear(digits):
    """Doubled, each new pixel is a quarter of the way from one old pixel to the next."""
    old = digits.normalise(digits.images[Split.TEST].pixels)
    new = digits.resized(Split.TEST, 16)
    expected = 0.75 * old[:, :, 3, 3] + 0.25 * old[:, :, 3, 4]
    expected_below = 0.75 * old[:, :, 4, 3] + 0.25 * old[:, :, 4, 4]
    torch.testing.assert_close(new[:, :, 7, 7], 0.75 * expected + 0.25 * expected_below)


def test_chosen_images_are_those_of_their_rows(digits):
    all_of_them = digits.images[Split.TEST]
    chosen = ChosenImages(all_of_them, torch.tensor([7, 3, 3]))
    assert torch.equal(chosen.labels, all_of_them.labels[[7, 3, 3]])
    assert torch.equal(chosen.resized(torch.tensor([2, 0]), 8), all_of_them.pixels[[3, 7]])
    changes = draw_changes(Augmentation(shift=0.1, flip=True), 2, torch.Generator().manual_seed(0))
    expected = change(all_of_them.pixels[[3, 7]], 12, changes)
    assert torch.equal(chosen.resized(torch.tensor([2, 0]), 12, changes), expected)


def test_bytes_and_floats_of_the_same_pixels_are_the_same_images():
    pixels = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    labels, rows = torch.arange(4), torch.tensor([1, 3])
    as_bytes, as_floats = StoredImages(pixels, labels), StoredImages(pixels.float() / 255, labels)
    assert torch.equal(as_bytes.resized(rows, 6), as_floats.resized(rows, 6))


def test_the_first_images_are_a_data_set_too(digits):
    few = digits.first({Split.TRAIN: 5, Split.TEST: 10_000})
    assert torch.equal(few.resized(Split.TRAIN, 8), digits.resized(Split.TRAIN, 8, slice(5)))
    assert [len(few.labels[split]) for split in Split] == [5, 360, 359]


def test_impossible_sizes_are_refused(digits):
    with pytest.raises(InvalidValueError, match="resolution"):
        digits.resized(Split.TEST, 0)
