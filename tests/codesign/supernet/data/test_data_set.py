import numpy as np
import pytest
import torch
from sklearn import datasets
from torch.nn import functional

from codesign.supernet.data.data_set import (
    UNCHANGED,
    Changes,
    ChosenImages,
    Split,
    StoredImages,
    change,
    draw_changes,
    load_digits,
    recolour,
)
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


@pytest.fixture(scope="module")
def images():
    return load_digits().images[Split.TEST].pixels


def changed(images, augmentation, resolution, seed=0):
    return change(images, resolution, draw_changes(augmentation, len(images), torch.Generator().manual_seed(seed)))


def pictures(count, height, width):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("resolution", [8, 12, 16])
def test_changing_nothing_is_resizing(images, resolution):
    resized = functional.interpolate(images, (resolution, resolution), mode="bilinear", align_corners=False)
    torch.testing.assert_close(changed(images, Augmentation(), resolution), resized)
    by_map = change(images, resolution, Changes(affine=torch.eye(2, 3).expand(len(images), 2, 3)))
    inside = slice(1, -1)  # at the border, sampling fades to the black outside
    torch.testing.assert_close(by_map[:, :, inside, inside], resized[:, :, inside, inside], rtol=1e-4, atol=1e-5)


def test_shifts_stay_within_their_limits():
    image = torch.zeros(500, 1, 9, 9)
    image[:, :, 4, 4] = 1
    moved = changed(image, Augmentation(shift=2 / 9), 9)
    rows = (moved.sum((1, 3)) * torch.arange(9.0)).sum(1)
    columns = (moved.sum((1, 2)) * torch.arange(9.0)).sum(1)
    for centres in (rows, columns):
        assert centres.min() >= 4 - 2.001
        assert centres.max() <= 4 + 2.001
        assert centres.min() < 2.2
        assert centres.max() > 5.8


def test_changes_follow_from_their_generator(images):
    everything = Augmentation(
        shift=0.1, degrees=10, scale=0.1, flip=True, least_area=0.3, brightness=0.2, saturation=0.2
    )
    first, same, other = (changed(images[:20], everything, 12, seed) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_some_of_the_images_get_what_they_get_among_all(images):
    everything = Augmentation(
        shift=0.1, degrees=10, scale=0.1, flip=True, least_area=0.3, brightness=0.2, saturation=0.2
    )
    changes = draw_changes(everything, 20, torch.Generator().manual_seed(0))
    whole = change(images[:20], 12, changes)
    torch.testing.assert_close(change(images[5:9], 12, changes.part(slice(5, 9))), whole[5:9])


def test_half_of_the_images_are_mirrored():
    images = pictures(400, 4, 4)
    result = changed(images, Augmentation(flip=True), 4)
    mirrored = (result == images.flip(3)).flatten(1).all(1)
    assert ((result == images).flatten(1).all(1) ^ mirrored).all()
    assert 150 < int(mirrored.sum()) < 250


def test_crops_have_the_area_and_shape_that_they_may():
    changes = draw_changes(Augmentation(least_area=0.2), 2000, torch.Generator().manual_seed(0))
    left, top, width, height = changes.boxes(64, 64).T
    assert min(left.min(), top.min()) >= 0
    assert max((left + width).max(), (top + height).max()) <= 64 + 1e-9
    area, ratio = width * height / 64**2, width / height
    assert 0.19 < area.min() < 0.25
    assert area.max() > 0.95
    assert 3 / 4 - 1e-9 <= ratio.min() < 0.78
    assert 1.28 < ratio.max() <= 4 / 3 + 1e-9


def test_a_crop_shows_the_pixels_of_its_box():
    """A quarter of the area, square, at the bottom right: sampling at its own size gives its pixels."""
    image = pictures(1, 8, 8)
    # A quarter of the area; a draw of 1/2 is the square, 1 the far end of where it can lie.
    crop = Changes(crops=torch.tensor([[0.25, 0.5, 1.0, 1.0]], dtype=torch.float64))
    torch.testing.assert_close(change(image, 4, crop), image[:, :, 4:, 4:], rtol=1e-4, atol=1e-5)


def test_colours_change_as_they_are_told():
    image = pictures(1, 2, 2)
    grey = (image * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True).expand_as(image)
    none, factor = torch.zeros(1), torch.tensor([0.5])
    torch.testing.assert_close(recolour(image, Changes(saturation=none)), grey)
    torch.testing.assert_close(recolour(image, Changes(brightness=factor)), image / 2)
    assert recolour(image, Changes(brightness=torch.tensor([9.0]))).max() == 1
    assert torch.equal(recolour(image[:, :1], Changes(saturation=none)), image[:, :1])
    assert torch.equal(recolour(image, UNCHANGED), image)


def test_impossible_sizes_are_refused(digits):
    with pytest.raises(InvalidValueError, match="resolution"):
        digits.resized(Split.TEST, 0)
