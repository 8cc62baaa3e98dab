import io
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.mutations import drive, from_file, mutated_bytes
from support.networks.image_folder import picture, write_image_folder

from codesign.supernet.data.data_set import ChosenImages, Split, StoredImages, change, draw_changes
from codesign.supernet.data.image_files import FileImages, load_images
from codesign.supernet.training.schedule import Augmentation
from hw_templates.foundation.errors import StorageError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """What `datasets` keeps beside the images goes with the test."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def encoded(number):
    buffer = io.BytesIO()
    Image.fromarray(picture(number)).save(buffer, "PNG")
    return buffer.getvalue()


def write_parquet(path, columns=("image", "label"), images_of_class=20, spoil=lambda rows: rows):
    import datasets

    path.mkdir(exist_ok=True)
    for part, start in (("train", 0), ("test", 1000)):
        numbers = [(start + 100 * index + number, index) for index in range(3) for number in range(images_of_class)]
        rows = spoil([{"bytes": encoded(number), "path": f"{number}.png"} for number, _ in numbers])
        table = datasets.Dataset.from_dict({columns[0]: rows, columns[1]: [label for _, label in numbers]})
        table.to_parquet(path / f"{part}.parquet")
    return path


def by_content(data, split):
    images = data.images[split]
    pixels = images.resized(torch.arange(len(images.labels)), 9)
    return {image.numpy().tobytes(): int(label) for image, label in zip(pixels, images.labels, strict=True)}


def expected(start, images_of_class=20):
    return {
        (torch.from_numpy(picture(start + 100 * index + number)).permute(2, 0, 1).float() / 255)
        .numpy()
        .tobytes(): index
        for index in range(3)
        for number in range(images_of_class)
    }


@pytest.mark.parametrize("write", [write_image_folder, write_parquet])
def test_files_of_this_machine_are_read_without_a_word_to_others(write, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: asked.append(host))
    load_images(write(tmp_path / "pets"), 3)
    assert not asked


@pytest.mark.parametrize("write", [write_image_folder, write_parquet])
def test_every_image_is_in_one_part_with_its_label(write, tmp_path):
    data = load_images(write(tmp_path / "pets"), 3)
    assert (data.name, data.classes) == ("pets", 3)
    train, validation = by_content(data, Split.TRAIN), by_content(data, Split.VALIDATION)
    assert train | validation == expected(0)
    assert by_content(data, Split.TEST) == expected(1000)
    assert len(train) == 54
    assert sorted(validation.values()) == [0, 0, 1, 1, 2, 2]
    again = load_images(tmp_path / "pets", 3)
    assert by_content(again, Split.VALIDATION) == validation
    assert (again.mean, again.deviation) == (data.mean, data.deviation)


def test_statistics_are_those_of_the_training_pixels(tmp_path):
    data = load_images(write_image_folder(tmp_path / "pets"), 3)
    pixels = data.images[Split.TRAIN].resized(torch.arange(54), 9)
    assert data.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=0.01)
    assert data.normalise(pixels).mean().abs() < 0.05


def test_a_validation_part_of_its_own_is_used_beside_a_test_part(tmp_path):
    path = write_image_folder(tmp_path / "pets")
    (path / "val").symlink_to(path / "test")
    data = load_images(path, 3)
    assert by_content(data, Split.TRAIN) == expected(0)
    assert by_content(data, Split.VALIDATION) == by_content(data, Split.TEST) == expected(1000)


def test_validation_alone_is_for_the_end(tmp_path):
    path = write_image_folder(tmp_path / "pets")
    (path / "test").rename(path / "val")
    data = load_images(path, 3)
    assert by_content(data, Split.TEST) == expected(1000)
    assert len(data.labels[Split.VALIDATION]) == 6


def test_grey_networks_get_grey_images(tmp_path):
    data = load_images(write_image_folder(tmp_path / "pets", 10), 1)
    assert data.resized(Split.TEST, 9).shape == (30, 1, 9, 9)


def test_images_of_one_size_are_stored_and_others_decoded_when_needed(tmp_path, monkeypatch):
    same = load_images(write_image_folder(tmp_path / "same"), 3)
    other = load_images(write_image_folder(tmp_path / "other", size=lambda number: (12 + number, 9)), 3)
    monkeypatch.setattr("codesign.supernet.data.image_files._STORED_BYTES", 100)
    large = load_images(tmp_path / "same", 3)
    kinds = [type(data.images[Split.TEST]) for data in (same, other, large)]
    assert kinds == [StoredImages, FileImages, FileImages]
    assert by_content(large, Split.TEST) == expected(1000)


def test_the_square_in_the_middle_is_shown(tmp_path):
    path = write_image_folder(tmp_path / "pets", size=lambda _: (13, 9))
    (path / "train" / "cat" / "00.png").unlink()
    Image.fromarray(picture(0, 9, 9)).save(path / "train" / "cat" / "00.png")
    images = load_images(path, 3).images[Split.TRAIN]
    assert isinstance(images, ChosenImages)
    everything = images.images
    assert isinstance(everything, FileImages)
    middle = torch.from_numpy(picture(1, 13, 9))[:, 2:11].permute(2, 0, 1) / 255
    torch.testing.assert_close(everything.resized(torch.tensor([1]), 9)[0], middle)


def test_decoded_images_are_changed_as_stored_ones(tmp_path, monkeypatch):
    stored = load_images(write_image_folder(tmp_path / "pets"), 3).images[Split.TEST]
    monkeypatch.setattr("codesign.supernet.data.image_files._STORED_BYTES", 100)
    decoded = load_images(tmp_path / "pets", 3).images[Split.TEST]
    rows, generator = torch.tensor([4, 40, 41]), torch.Generator().manual_seed(0)
    moved = draw_changes(Augmentation(shift=0.2, flip=True, brightness=0.2, saturation=0.3), 3, generator)
    torch.testing.assert_close(decoded.resized(rows, 9, moved), stored.resized(rows, 9, moved), rtol=0, atol=1e-5)
    # Pillow filters where a crop shrinks; both enlarge alike, but for the border and rounding to bytes.
    cropped = draw_changes(Augmentation(least_area=0.3, flip=True), 3, generator)
    ours, theirs = decoded.resized(rows, 18, cropped), stored.resized(rows, 18, cropped)
    inside = slice(3, -3)
    torch.testing.assert_close(ours[:, :, inside, inside], theirs[:, :, inside, inside], rtol=0, atol=0.02)


def spoil_first(rows):
    return [{"bytes": b"no image", "path": "first.png"}, *rows[1:]]


def test_an_unreadable_image_is_named(tmp_path):
    path = write_image_folder(tmp_path / "pets")
    (path / "train" / "dog" / "07.png").write_bytes(b"no image")
    with pytest.raises(StorageError, match=r"dog/07\.png: image cannot be read \(.*\); replace or remove it"):
        load_images(path, 3)
    with pytest.raises(StorageError, match=r"train\.parquet row 0 \(first\.png\): image cannot be read"):
        load_images(write_parquet(tmp_path / "table", spoil=spoil_first), 3)


def test_a_truncated_image_is_named_when_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr("codesign.supernet.data.image_files._STORED_BYTES", 100)
    path = write_image_folder(tmp_path / "pets")
    broken = path / "test" / "ship" / "03.png"
    broken.write_bytes(broken.read_bytes()[:-60])
    images = load_images(path, 3).images[Split.TEST]
    images.resized(torch.arange(43), 9)
    with pytest.raises(StorageError, match=r"ship/03\.png: image cannot be read"):
        images.resized(torch.arange(40, 50), 9)


def remove(*parts):
    def change_folder(path):
        for entry in Path(path, *parts).iterdir():
            entry.unlink()
        Path(path, *parts).rmdir()

    return change_folder


def write_word(path):
    (path / "train.parquet").write_text("no parquet")


@pytest.mark.parametrize(
    ("write", "spoil", "message"),
    [
        (write_image_folder, remove("test", "dog"), r"class 'dog' is in train but not in test"),
        (write_image_folder, remove("train", "dog"), r"class 'dog' is in test but not in train"),
        (write_image_folder, lambda path: (path / "test").rename(path / "other"), r"must hold train\.parquet and test"),
        (write_parquet, lambda path: (path / "test.parquet").unlink(), r"must hold train\.parquet and test\.parquet"),
        (write_parquet, write_word, r"train\.parquet: cannot be read as parquet"),
        (
            lambda path: write_parquet(path, ("picture", "label")),
            lambda _: None,
            r"must have columns image .* and label \(whole numbers\), has picture, label",
        ),
        (lambda path: write_image_folder(path, 2), lambda _: None, r"too few training images"),
    ],
)
def test_unsound_folders_are_refused_in_one_line(write, spoil, message, tmp_path):
    path = write(tmp_path / "pets")
    spoil(path)
    with pytest.raises(StorageError, match=message) as error:
        load_images(path, 3)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"nowhere: no such folder"):
        load_images(tmp_path / "nowhere", 3)


def test_augmenting_keeps_sizes_and_values_in_bounds(tmp_path):
    stored = load_images(write_image_folder(tmp_path / "pets"), 3).images[Split.TEST]
    everything = Augmentation(
        shift=0.1, degrees=10, scale=0.1, flip=True, least_area=0.3, brightness=0.4, saturation=0.5
    )
    changes = draw_changes(everything, 60, torch.Generator().manual_seed(0))
    images = stored.resized(torch.arange(60), 11, changes)
    assert images.shape == (60, 3, 11, 11)
    assert 0 <= images.min() < images.max() <= 1
    assert isinstance(stored, StoredImages)
    torch.testing.assert_close(images, change(stored.pixels / 255, 11, changes))


def test_without_a_cache_that_can_be_written_copies_are_temporary(tmp_path, monkeypatch):
    import datasets

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    pets = write_image_folder(tmp_path / "pets")
    for cache in ("~/.cache/huggingface/datasets", tmp_path / "file" / "cache"):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
        data = load_images(pets, 3)
        assert sum(len(data.labels[split]) for split in Split) == 120
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pets"]


@dataclass
class OneImage:
    """Rows of one image, which a test changes."""

    content: bytes = b""

    def __getitem__(self, rows):
        return {"image": [{"bytes": self.content, "path": "a\nb.png"}]}


@pytest.mark.filterwarnings("ignore")  # Pillow also warns of what it reads.
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_any_image_is_decoded_or_refused_in_one_line(kind, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(picture(0)).save(buffer, kind)
    rows = OneImage()
    table = FileImages(tmp_path / "train.parquet", rows, torch.zeros(1, dtype=torch.int64), 3)

    def read(content):
        rows.content = content
        [pixels] = table.decoded(torch.tensor([0]), lambda _, image: image.resize((4, 4)))
        assert pixels.shape == (4, 4, 3)

    accepted, refused = drive(read, mutated_bytes(buffer.getvalue(), 800))
    assert accepted > 20
    assert refused > 100


@pytest.mark.filterwarnings("ignore")
def test_any_parquet_is_read_or_refused_in_one_line(tmp_path):
    path = write_parquet(tmp_path / "pets", images_of_class=12)
    whole = (path / "train.parquet").read_bytes()

    read = from_file(path / "train.parquet", lambda: load_images(path, 3))
    # Each costs some 15 ms, for datasets keeps a copy of what it can read.
    accepted, refused = drive(read, mutated_bytes(whole, 2_000))
    assert accepted
    assert refused > 100


@pytest.mark.parametrize("label", [10**12, -1, 36])
def test_labels_beyond_the_images_are_refused(label, tmp_path):
    import datasets

    path = write_parquet(tmp_path / "pets", images_of_class=12)
    table = datasets.Dataset.from_parquet(str(path / "train.parquet"), cache_dir=str(tmp_path / "copies"))
    labels = [label, *table["label"][1:]]
    table.remove_columns("label").add_column("label", labels).to_parquet(path / "train.parquet")
    with pytest.raises(StorageError, match=r"train\.parquet: must hold images of the classes 0 to"):
        load_images(path, 3)
