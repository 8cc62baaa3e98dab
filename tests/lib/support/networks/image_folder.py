"""Small random pictures in folders, as data sets of images come."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

TEST_START = 1000


def picture(number: int, width: int = 9, height: int = 9) -> NDArray[np.uint8]:
    """[height, width, 3] random pixels that follow from the number."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_image_folder(
    path: Path,
    images_of_class: int = 20,
    size: Callable[[int], tuple[int, int]] = lambda _number: (9, 9),
    classes: tuple[str, ...] = ("cat", "dog", "ship"),
) -> Path:
    """Training and test parts with so many pictures of each class: 0, 1, ..., then 100, ...; those of test + 1000."""
    for part, start in (("train", 0), ("test", TEST_START)):
        for index, name in enumerate(classes):
            folder = path / part / name
            folder.mkdir(parents=True)
            for number in range(images_of_class):
                pixels = picture(start + 100 * index + number, *size(number))
                Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return path
