import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from hw_templates.foundation.catalogue import Catalogue, OwnFile
from hw_templates.foundation.errors import CodesignError, InvalidValueError, StorageError, UnknownNameError
from hw_templates.foundation.json_records import check_record


@dataclass(frozen=True)
class Colour:
    """What the catalogue here holds."""

    name: str
    length_nm: float

    def __post_init__(self) -> None:
        if self.length_nm <= 0:
            raise InvalidValueError("colour.length_nm", self.length_nm, "positive")


def parse(name: str, table: dict[str, Any]) -> Colour:
    return check_record({**table, "name": name}, Colour, "colour")


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue[Colour]:
    folder = tmp_path / "colours"
    folder.mkdir()
    (folder / "red.toml").write_text("# a comment\nlength_nm = 700\n")
    (folder / "blue.toml").write_text("length_nm = 450.0\n")
    return Catalogue("colour", folder, "test.colours", parse)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "green.toml"
    path.write_text("length_nm = 530\n")
    return path


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, entry: str, module: str = "") -> None:
    """Make a package ``toy`` with one entry point importable."""
    about = folder / "toy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[test.colours]\n{entry}\n")
    (folder / "toy_colours.py").write_text(module)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "toy_colours", raising=False)


def one_line(error: pytest.ExceptionInfo[CodesignError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_names_and_files_are_loaded(catalogue: Catalogue[Colour], own: Path) -> None:
    assert catalogue.names() == ("blue", "red")
    assert catalogue.load("red") == Colour("red", 700)
    assert catalogue.load(str(own)) == Colour("green", 530)
    assert catalogue.text("red") == "# a comment\nlength_nm = 700\n"
    assert catalogue.text(str(own)) == own.read_text()


def test_an_unknown_name_is_refused_with_the_nearest(catalogue: Catalogue[Colour]) -> None:
    expected = r"colour: must be one of blue, red, or a TOML file by its path, got 'rad'; did you mean 'red'\?"
    with pytest.raises(UnknownNameError, match=expected):
        catalogue.load("rad")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("length_nm == 3", r"green\.toml: is corrupt .*line 1.*; correct it"),
        ("", r"green\.toml: colour\.length_nm: must be given, got None"),
        ("length_um = 0.5", r"green\.toml: colour\.length_um: must be given as length_nm, got 0\.5"),
        ("lenght_nm = 530", r"green\.toml: colour\.lenght_nm: must be given as length_nm, got 530"),
        ("length_nm = 530\nshade = 1", r"green\.toml: colour\.shade: must be a known field, got 1"),
        ("length_nm = '530'", r"green\.toml: colour\.length_nm: must be a number, got '530'"),
        ("length_nm = -1", r"green\.toml: colour\.length_nm: must be positive, got -1"),
        ("length_nm = 530\nname = 'g'", r"green\.toml: colour\.name: must be left out, as the file's name is the name"),
    ],
)
def test_a_bad_file_is_refused_by_file_field_and_remedy(
    catalogue: Catalogue[Colour], own: Path, content: str, message: str
) -> None:
    own.write_text(content)
    with pytest.raises(StorageError, match=message) as error:
        catalogue.load(str(own))
    one_line(error)


def test_a_missing_file_is_refused(catalogue: Catalogue[Colour], tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"absent\.toml: cannot be read"):
        catalogue.load(str(tmp_path / "absent.toml"))


def test_a_file_takes_no_name_that_exists_unless_it_says_the_same(catalogue: Catalogue[Colour], tmp_path: Path) -> None:
    path = tmp_path / "red.toml"
    path.write_text("length_nm = 700.0\n")
    assert catalogue.load(str(path)) == catalogue.load("red")
    path.write_text("length_nm = 640\n")
    with pytest.raises(StorageError, match=r"red\.toml: colour\.name: must be another file name, as red comes with"):
        catalogue.load(str(path))


def test_a_recorded_file_may_go_but_not_change(catalogue: Catalogue[Colour], own: Path) -> None:
    assert catalogue.record("red") == "red"
    record = catalogue.record(str(own))
    assert record == OwnFile(str(own.resolve()), {"length_nm": 530})
    assert check_record(asdict(record), OwnFile, "record") == record
    own.write_text("# with a comment now\nlength_nm = 530\n")
    assert catalogue.load(record) == Colour("green", 530)
    own.write_text("length_nm = 531\n")
    with pytest.raises(StorageError, match=r"green\.toml: differs from the colour that the run began with; restore it"):
        catalogue.load(record)
    own.unlink()
    assert catalogue.load(record) == Colour("green", 530)


def test_another_package_adds_a_colour(
    catalogue: Catalogue[Colour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"from {__name__} import Colour\nGREEN = Colour('green', 530)\n"
    monkeypatch.syspath_prepend(Path(__file__).parent)
    install(tmp_path, monkeypatch, "green = toy_colours:GREEN", module)
    assert catalogue.names() == ("blue", "green", "red")
    assert catalogue.load("green") == Colour("green", 530)
    with pytest.raises(InvalidValueError, match="colour: must be one with a TOML file: blue, red, got 'green'"):
        catalogue.text("green")


def test_another_package_adds_a_colour_by_the_path_of_a_file(
    catalogue: Catalogue[Colour], own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "lime = toy_colours:LIME", f"LIME = {str(own)!r}\n")
    assert catalogue.load("lime") == Colour("lime", 530)
    own.write_text("length_nm = 0")
    with pytest.raises(StorageError, match=r"package toy: colour\.length_nm: must be positive, got 0.*uninstall toy"):
        catalogue.load("lime")
    own.unlink()
    with pytest.raises(StorageError, match=r"green\.toml: cannot be read"):
        catalogue.load("lime")


def test_a_colour_from_another_package_has_the_name_of_its_entry_point(
    catalogue: Catalogue[Colour], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    install(
        tmp_path, monkeypatch, "lime = toy_colours:LIME", f"from {__name__} import Colour\nLIME = Colour('green', 1)"
    )
    with pytest.raises(StorageError, match="package toy: is called green, not lime; repair or uninstall toy"):
        catalogue.load("lime")


@pytest.mark.parametrize(
    ("entry", "module", "message"),
    [
        ("green = toy_colours:GREEN", "1 / 0", r"cannot be loaded \(ZeroDivisionError: .*\); repair or uninstall toy"),
        ("green = toy_colours:GREEN", "", r"cannot be loaded \(AttributeError: .*\); repair or uninstall toy"),
        ("green = absent:GREEN", "", r"cannot be loaded \(ModuleNotFoundError: .*\); repair or uninstall toy"),
        ("green = toy_colours:GREEN", "GREEN = 'green'", "is of type str, not Colour; repair or uninstall toy"),
        ("red = toy_colours:RED", "RED = 1", "takes a name that another colour has; rename it or uninstall toy"),
    ],
)
def test_a_bad_entry_point_is_refused(
    catalogue: Catalogue[Colour],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: str,
    module: str,
    message: str,
) -> None:
    install(tmp_path, monkeypatch, entry, module)
    name = entry.partition(" ")[0]
    with pytest.raises(StorageError, match=f"entry point {name} of test.colours, package toy: {message}") as error:
        catalogue.load(name)
    one_line(error)
    assert catalogue.load("blue") == Colour("blue", 450)
