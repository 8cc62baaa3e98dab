"""Data sets of image files: folders of classes, or parquet, read through Hugging Face ``datasets``."""

import atexit
import io
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from codesign.supernet.data.data_set import (
    UNCHANGED,
    Changes,
    ChosenImages,
    DataSet,
    Images,
    Split,
    StoredImages,
    recolour,
    sample,
    stratified,
)
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import MALFORMED

if TYPE_CHECKING:
    import datasets

VALIDATION_SHARE, MOST_VALIDATION_IMAGES = 0.1, 10_000
_STORED_BYTES = 2**30
_DECODED_TOGETHER = 1000
# Mean and deviation are those of the first training images at one size.
_STATISTICS_IMAGES, _STATISTICS_SIDE = 2000, 64
_NAMES = {Split.TRAIN: ("train",), Split.VALIDATION: ("validation", "val", "valid"), Split.TEST: ("test",)}
_MODES = {1: "L", 3: "RGB"}
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class FileImages:
    """Encoded images of any size and their labels; images are decoded whenever they are asked for.

    Attributes:
        path: where they come from, for messages.
        rows: columns ``image`` (bytes or path) and ``label``.
        labels: int64 [n].
        channels: 1 for grey, 3 for red, green and blue: what images are converted to.
    """

    path: Path
    rows: "datasets.Dataset"
    labels: Tensor
    channels: int

    def decoded(self, rows: Tensor, prepare: Callable[[int, Image.Image], Image.Image]) -> Iterator[Pixels]:
        """Yield [height, width, channels] of some rows; ``prepare`` gets the place in ``rows`` and the image.

        Raises:
            StorageError: an image cannot be read; names it.
        """
        entries = self.rows[rows.tolist()]["image"]

        def decode(place: int) -> Pixels:
            pixels: Pixels = np.asarray(prepare(place, self._open(int(rows[place]), entries[place])))
            return pixels.reshape(*pixels.shape[:2], self.channels)

        # Pillow lets other threads run while it decodes and resizes.
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1), "decode") as threads:
            yield from threads.map(decode, range(len(rows)))

    def _open(self, row: int, entry: Mapping[str, Any] | None) -> Image.Image:
        path = (entry or {}).get("path")
        shown = path if path is None or path.isprintable() else ascii(path)
        where = f"{self.path} row {row}{f' ({shown})' if path else ''}"
        try:
            if entry is None:
                raise ValueError("it is missing")
            source = str(path) if entry["bytes"] is None else io.BytesIO(entry["bytes"])
            where = str(shown) if isinstance(source, str) else where
            with Image.open(source) as image:
                return image.convert(_MODES[self.channels])
        except (OSError, Image.DecompressionBombError, *MALFORMED) as error:
            reason = " ".join(str(error).partition(" <")[0].split())
            raise StorageError(f"{where}: image cannot be read ({reason}); replace or remove it") from error

    def resized(self, rows: Tensor, resolution: int, changes: Changes = UNCHANGED) -> Tensor:
        """Return the chosen images as squares with these changes, float32 of 0 to 1.

        What is not cropped at random is cut to the largest square in its middle; Pillow's bilinear filters by area.
        """

        def prepare(place: int, image: Image.Image) -> Image.Image:
            if changes.crops is None:
                width = height = min(image.size)
                left, top = (image.width - width) / 2, (image.height - height) / 2
            else:
                left, top, width, height = changes.part(slice(place, place + 1)).boxes(*image.size)[0].tolist()
            box = (left, top, min(left + width, image.width), min(top + height, image.height))
            return image.resize((resolution, resolution), Image.Resampling.BILINEAR, box=box)

        pixels = np.stack(list(self.decoded(rows, prepare)))
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        if changes.affine is not None:
            images = sample(images, changes.affine, resolution)
        return recolour(images, changes)

    def stored(self) -> Images:
        """Return the images in memory where they are small and of one size; else these."""
        count = len(self.labels)
        width, height = self._open(0, self.rows[0]["image"]).size
        if count * self.channels * width * height > _STORED_BYTES:
            return self
        pixels = np.empty((count, height, width, self.channels), dtype=np.uint8)
        for rows in torch.split(torch.arange(count), _DECODED_TOGETHER):
            for row, image in zip(rows.tolist(), self.decoded(rows, lambda _, image: image), strict=True):
                if image.shape != pixels.shape[1:]:
                    return self
                pixels[row] = image
        return StoredImages(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), self.labels)


def _parts(path: Path) -> tuple[str, dict[Split, list[Path]]]:
    """Return whether the folder holds parquet or an image folder, and the files or folders of each part.

    Raises:
        StorageError: it is missing or holds neither, or folders of classes differ; names the first at fault.
    """
    if not path.is_dir():
        raise StorageError(f"{path}: no such folder; name one with training and test images")
    files = sorted([*path.glob("*.parquet"), *path.glob("*/*.parquet")])

    def places(names: tuple[str, ...]) -> list[Path]:
        if files:
            return [file for file in files if file.name.startswith(names)]
        return [path / name for name in names if (path / name).is_dir()]

    parts = {split: found for split, names in _NAMES.items() if (found := places(names))}
    # Where there is one part beside training, it is for the end, as in ImageNet.
    if Split.TEST not in parts and Split.VALIDATION in parts:
        parts[Split.TEST] = parts.pop(Split.VALIDATION)
    if not {Split.TRAIN, Split.TEST} <= parts.keys():
        raise StorageError(
            f"{path}: must hold train.parquet and test.parquet, or folders train and test with a folder for each class"
        )
    if files:
        return "parquet", parts
    classes = {split: {entry.name for entry in found[0].iterdir() if entry.is_dir()} for split, found in parts.items()}
    for split, names in classes.items():
        if odd := sorted(names ^ classes[Split.TRAIN]):
            where, other = (Split.TRAIN, split) if odd[0] in names else (split, Split.TRAIN)
            raise StorageError(f"{path}: class {odd[0]!r} is in {other} but not in {where}; both need the same classes")
    return "imagefolder", parts


def _read(kind: str, places: list[Path], channels: int) -> FileImages:
    """Return the images of one part.

    Raises:
        StorageError: a file is damaged, or has other columns.
    """
    import datasets

    datasets.disable_progress_bars()
    # It logs what is reported here.
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    # It asks the hub to count each use, and waits for the answer.
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    place, copies = places[0], _copies_folder(str(datasets.config.HF_DATASETS_CACHE))
    source = {"data_dir": str(place)} if kind == "imagefolder" else {"data_files": [str(file) for file in places]}
    try:
        rows = datasets.load_dataset(kind, **source, split="train", cache_dir=copies)
    except (datasets.exceptions.DatasetsError, OSError, ValueError) as error:
        raise StorageError(f"{place}: cannot be read as {kind} (damaged, or without images)") from error
    image, label = rows.features.get("image"), rows.features.get("label")
    sound_image = isinstance(image, datasets.Image) or (isinstance(image, dict) and {"bytes", "path"} <= image.keys())
    if not sound_image or "int" not in str(getattr(label, "dtype", "")):
        held = ", ".join(rows.features)
        raise StorageError(
            f"{place}: must have columns image (of bytes and path) and label (whole numbers), has {held}"
        )
    rows = rows.cast_column("image", datasets.Image(decode=False)).select_columns(["image", "label"])
    labels = np.asarray(rows.with_format("numpy")["label"][:]).astype(np.int64)
    if not len(labels):
        raise StorageError(f"{place}: holds no images")
    return FileImages(place, rows, torch.from_numpy(labels), channels)


@cache
def _copies_folder(own: str) -> str:
    """Return where ``datasets`` may keep its copies: ``own``, or a folder that lasts as long as the process."""
    # A tilde is left where the user has no home.
    if not own.startswith("~"):
        with suppress(OSError):
            Path(own).mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=own).close()
            return own
    folder = TemporaryDirectory(prefix="codesign-datasets-")
    atexit.register(folder.cleanup)
    return folder.name


def load_images(path: Path, channels: int) -> DataSet:
    """Return the data set in a folder.

    It holds ``train*.parquet`` and ``test*.parquet`` with columns ``image`` (bytes and path, as ``datasets`` has them)
    and ``label`` (from 0), or folders ``train`` and ``test`` with one folder of images for each class. A validation
    part is used where there is one; else a tenth of the training part, but at most 10,000 images,
    is held out: each class in proportion, always the same. Images of one size that fit into 1 GiB are kept in memory,
    others are decoded when needed. ``datasets`` keeps a copy of parquet in its cache (``HF_DATASETS_CACHE``), or in a
    temporary folder where that cannot be written.

    Args:
        path: of the folder.
        channels: 1 or 3; images are converted.

    Raises:
        StorageError: the folder or a part is missing, a file is damaged, columns or classes are not as above.
    """
    kind, parts = _parts(path)
    tables = {split: _read(kind, places, channels) for split, places in parts.items()}
    trained = tables[Split.TRAIN].labels
    classes = len(set(trained.tolist()))
    for table in tables.values():
        if odd := sorted(set(range(classes)) ^ set(table.labels.tolist())):
            missing = odd[0] in range(classes)
            what = f"none of class {odd[0]}" if missing else f"class {odd[0]}, which training has not"
            raise StorageError(f"{table.path}: must hold images of the classes 0 to {classes - 1}, holds {what}")
    images = {split: table.stored() for split, table in tables.items()}
    if Split.VALIDATION not in images:
        share = min(VALIDATION_SHARE, MOST_VALIDATION_IMAGES / len(trained))
        chosen = [torch.from_numpy(rows) for rows in stratified(trained.numpy(), (1 - share, share), seed=0)]
        if len(chosen[1]) < classes:
            raise StorageError(f"{path}: too few training images to hold out a tenth of them, {len(trained)}")
        images[Split.TRAIN], images[Split.VALIDATION] = (ChosenImages(images[Split.TRAIN], rows) for rows in chosen)
    train = images[Split.TRAIN]
    pixels = train.resized(torch.arange(min(_STATISTICS_IMAGES, len(train.labels))), _STATISTICS_SIDE).double()
    return DataSet(
        name=path.resolve().name,
        images={split: images[split] for split in Split},
        classes=classes,
        mean=tuple(pixels.mean((0, 2, 3)).tolist()),
        deviation=tuple(pixels.std((0, 2, 3)).clamp_min(1e-3).tolist()),
    )
