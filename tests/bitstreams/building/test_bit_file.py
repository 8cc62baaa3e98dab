from pathlib import Path

import pytest
from support.boards.vendor_files import bit_file
from support.mutations import drive, mutated_bytes

from bitstreams.building.bit_file import check_board, parse_bit, read_bit_file, same_device
from hw_templates.board import load_board
from hw_templates.foundation.errors import StorageError

FIXTURE = Path(__file__).parents[4] / "shared/fixtures/pynq_z2_ad08/design_1_wrapper.bit"


def written(folder: Path, content: bytes) -> Path:
    path = folder / "design.bit"
    path.write_bytes(content)
    return path


@pytest.mark.skipif(not FIXTURE.exists(), reason="the real bitstream is not at ../shared/fixtures")
def test_a_real_file_says_what_it_is() -> None:
    bit = read_bit_file(FIXTURE)
    assert (bit.design, bit.part, bit.vivado) == ("design_1_wrapper", "7z020clg400", "2019.1")
    assert bit.user_id == 0xFFFFFFFF
    # UG470, table 1-1: configuration of a 7z020 takes 32,364,512 bits.
    assert bit.configuration_bytes == pytest.approx(32_364_512 / 8, rel=1e-3)
    check_board(FIXTURE, bit, load_board("pynq-z2"))
    with pytest.raises(StorageError, match=r"is for part 7z020clg400, ultra96-v2 has xczu3eg-sbva484-1-i"):
        check_board(FIXTURE, bit, load_board("ultra96-v2"))


def test_every_truncation_is_found(tmp_path: Path) -> None:
    whole = bit_file("engine_0badcafe", "7z020clg400", 0x0BADCAFE)
    bit = read_bit_file(written(tmp_path, whole))
    assert (bit.design, bit.user_id) == ("engine_0badcafe_wrapper", 0x0BADCAFE)
    for length in range(len(whole)):
        with pytest.raises(StorageError, match=r"design\.bit: is (truncated|no \.bit file|corrupt)"):
            read_bit_file(written(tmp_path, whole[:length]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\3\4" + bytes(100), "is no .bit file"),
        (bit_file("a", "7z020clg400").replace(b"\0b\0", b"\0x\0", 1), "field b is missing"),
        (bit_file("a", "7z020clg400", payload=bytes(100)), "no synchronisation word"),
        (bit_file("a", "7z020clg400").replace(b"7z020", b"7z\xff20"), "its header is no text"),
        (bit_file("a", "7z020clg400").replace(b"7z020", b"7z\n20"), "its header is no text"),
    ],
)
def test_what_is_no_bit_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        read_bit_file(written(tmp_path, content))


def test_any_spoilt_file_is_read_or_refused_in_one_line() -> None:
    whole = bit_file("engine_0badcafe", "7z020clg400", 0x0BADCAFE)
    path = Path("design.bit")

    def read(content: bytes) -> None:
        assert parse_bit(content, path).configuration_bytes <= len(content)

    accepted, refused = drive(read, mutated_bytes(whole, 3_000))
    assert accepted > 500
    assert refused > 500


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.bit: cannot be read \(No such file"):
        read_bit_file(tmp_path / "gone.bit")


@pytest.mark.parametrize(
    ("board", "part"),
    [
        ("pynq-z2", "7z020clg400"),
        ("zcu104", "xczu7ev-ffvc1156-2-e"),
        ("ultra96-v2", "zu3eg-sbva484-1-i"),
        ("kv260", "xck26-sfvc784-2LV-c"),
    ],
)
def test_each_board_takes_its_own_part_only(tmp_path: Path, board: str, part: str) -> None:
    path = written(tmp_path, bit_file("a", part))
    bit = read_bit_file(path)
    for other in ("pynq-z2", "zcu104", "ultra96-v2", "kv260"):
        if other == board:
            check_board(path, bit, load_board(other))
        else:
            with pytest.raises(StorageError, match="is for part"):
                check_board(path, bit, load_board(other))
    assert not same_device("7z020", "7z020clg400")
