import dataclasses

import numpy as np
import pytest
import torch
from sklearn import datasets
from torch.nn import functional

from codesign.supernet.data import Split, augment, load_digits
from codesign.supernet.schedule import Augmentation
from hw_templates.errors import InvalidValueError

STILL = Augmentation(shift=0, degrees=0, scale=0)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def test_every_digit_is_in_exactly_one_part(digits):
    parts = torch.cat([digits.images[split].flatten(1) for split in Split])
    raw = torch.from_numpy(datasets.load_digits().data.astype(np.float32)) / 16
    assert sorted(parts.tolist()) == sorted(raw.tolist())


def test_images_keep_their_labels(digits):
    raw = datasets.load_digits()
    label_of = {tuple(image): label for image, label in zip((raw.data / 16).tolist(), raw.target, strict=True)}
    for split in Split:
        for image, label in zip(digits.images[split].flatten(1).tolist(), digits.labels[split].tolist(), strict=True):
            assert label_of[tuple(image)] == label


def test_parts_are_stratified(digits):
    counts = np.array([np.bincount(digits.labels[split], minlength=10) for split in Split])
    total = counts.sum(axis=0)
    assert np.abs(counts - np.outer([0.6, 0.2, 0.2], total)).max() <= 1


def test_the_split_is_always_the_same(digits):
    again = load_digits()
    assert all(torch.equal(digits.images[split], again.images[split]) for split in Split)
    # Written down, because figures of different versions are compared.
    assert [len(digits.labels[split]) for split in Split] == [1078, 360, 359]
    assert digits.labels[Split.TEST][:10].tolist() == [5, 4, 6, 6, 9, 1, 0, 1, 4, 9]


def test_training_pixels_are_normalised(digits):
    pixels = digits.resized(Split.TRAIN, 8)
    assert pixels.dtype == torch.float32
    assert abs(float(pixels.mean())) < 1e-4
    assert abs(float(pixels.std()) - 1) < 1e-4
    assert torch.equal(pixels, digits.normalise(digits.images[Split.TRAIN]))


def test_resizing_is_bilinear(digits):
    """Doubled, each new pixel is a quarter of the way from one old pixel to the next."""
    old = digits.normalise(digits.images[Split.TEST])
    new = digits.resized(Split.TEST, 16)
    expected = 0.75 * old[:, :, 3, 3] + 0.25 * old[:, :, 3, 4]
    expected_below = 0.75 * old[:, :, 4, 3] + 0.25 * old[:, :, 4, 4]
    torch.testing.assert_close(new[:, :, 7, 7], 0.75 * expected + 0.25 * expected_below)


@pytest.mark.parametrize("resolution", [8, 12, 16])
def test_augmenting_by_nothing_is_resizing(digits, resolution):
    images = digits.images[Split.TEST]
    result = augment(images, STILL, resolution, torch.Generator())
    resized = functional.interpolate(images, (resolution, resolution), mode="bilinear", align_corners=False)
    inside = slice(1, -1)  # at the border, augmenting fades to the black outside
    torch.testing.assert_close(result[:, :, inside, inside], resized[:, :, inside, inside], rtol=1e-4, atol=1e-5)


def test_augmentation_stays_within_its_limits():
    image = torch.zeros(500, 1, 9, 9)
    image[:, :, 4, 4] = 1
    moved = augment(image, Augmentation(shift=2 / 9, degrees=0, scale=0), 9, torch.Generator().manual_seed(0))
    rows = (moved.sum((1, 3)) * torch.arange(9.0)).sum(1)
    columns = (moved.sum((1, 2)) * torch.arange(9.0)).sum(1)
    for centres in (rows, columns):
        assert centres.min() >= 4 - 2.001
        assert centres.max() <= 4 + 2.001
        assert centres.min() < 2.2
        assert centres.max() > 5.8


def test_augmentation_follows_from_its_generator(digits):
    images, changes = digits.images[Split.TEST][:20], Augmentation(0.1, 10, 0.1)
    first, same, other = (augment(images, changes, 12, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_impossible_sizes_and_changes_are_refused(digits):
    with pytest.raises(InvalidValueError, match="resolution"):
        digits.resized(Split.TEST, 0)
    with pytest.raises(InvalidValueError, match=r"augmentation\.degrees"):
        dataclasses.replace(STILL, degrees=-1)
