from pathlib import Path

import pytest
from support.boards.vendor_files import bit_file, handoff
from support.mutations import drive, mutated_bytes, mutated_text

from bitstreams.building.design import check_board, parse_bit, parse_design, parse_handoff, read_design, same_device
from hw_templates.board import load_board
from hw_templates.foundation.errors import StorageError

FIXTURES = Path(__file__).parents[4] / "shared/fixtures/pynq_z2_ad08"
REAL_BIT, REAL_HWH = FIXTURES / "design_1_wrapper.bit", FIXTURES / "design_1_wrapper.hwh"
BIT, HWH = Path("design.bit"), Path("design.hwh")
BLOCKS = {"conv_engine": ("s_axi_control", 0xA0000000), "engine_id": ("s_axi", 0xA0010000)}
HANDOFF = handoff("engine_0badcafe", "xczu7ev", "ffvc1156", "zynq_ultra_ps_e", 299_997_009, BLOCKS)
needs_fixtures = pytest.mark.skipif(not FIXTURES.exists(), reason="the real bitstream is not at ../shared/fixtures")


@needs_fixtures
def test_a_real_file_says_what_it_is() -> None:
    bit = parse_bit(REAL_BIT.read_bytes(), REAL_BIT)
    assert (bit.design, bit.part, bit.vivado) == ("design_1_wrapper", "7z020clg400", "2019.1")
    assert bit.user_id == 0xFFFFFFFF
    # UG470, table 1-1: configuration of a 7z020 takes 32,364,512 bits.
    assert bit.configuration_bytes == pytest.approx(32_364_512 / 8, rel=1e-3)
    check_board(REAL_BIT, bit, load_board("pynq-z2"))
    with pytest.raises(StorageError, match=r"is for part 7z020clg400, ultra96-v2 has xczu3eg-sbva484-1-i"):
        check_board(REAL_BIT, bit, load_board("ultra96-v2"))


def test_every_truncation_is_found() -> None:
    whole = bit_file("engine_0badcafe", "7z020clg400", 0x0BADCAFE)
    bit = parse_bit(whole, BIT)
    assert (bit.design, bit.user_id) == ("engine_0badcafe_wrapper", 0x0BADCAFE)
    for length in range(len(whole)):
        with pytest.raises(StorageError, match=r"design\.bit: is (truncated|no \.bit file|corrupt)"):
            parse_bit(whole[:length], BIT)


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
def test_what_is_no_bit_file_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        parse_bit(content, BIT)


def test_any_spoilt_bit_file_is_read_or_refused_in_one_line() -> None:
    whole = bit_file("engine_0badcafe", "7z020clg400", 0x0BADCAFE)

    def read(content: bytes) -> None:
        assert parse_bit(content, BIT).configuration_bytes <= len(content)

    accepted, refused = drive(read, mutated_bytes(whole, 3_000))
    assert accepted > 500
    assert refused > 500


@pytest.mark.parametrize("missing", ["bit", "hwh"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    for suffix in {"bit", "hwh"} - {missing}:
        (tmp_path / f"gone.{suffix}").write_bytes(b"")
    with pytest.raises(StorageError, match=rf"gone\.{missing}: cannot be read \(No such file"):
        read_design(tmp_path / "gone.bit", load_board("pynq-z2"))


@pytest.mark.parametrize(
    ("board", "part"),
    [
        ("pynq-z2", "7z020clg400"),
        ("zcu104", "xczu7ev-ffvc1156-2-e"),
        ("ultra96-v2", "zu3eg-sbva484-1-i"),
        ("kv260", "xck26-sfvc784-2LV-c"),
    ],
)
def test_each_board_takes_its_own_part_only(board: str, part: str) -> None:
    bit = parse_bit(bit_file("a", part), BIT)
    for other in ("pynq-z2", "zcu104", "ultra96-v2", "kv260"):
        if other == board:
            check_board(BIT, bit, load_board(other))
        else:
            with pytest.raises(StorageError, match="is for part"):
                check_board(BIT, bit, load_board(other))
    assert not same_device("7z020", "7z020clg400")


@needs_fixtures
def test_a_real_hand_off_belongs_to_its_bitstream() -> None:
    found = parse_handoff(REAL_HWH.read_bytes(), REAL_HWH)
    assert (found.design, found.part, found.clock_mhz) == ("design_1", "7z020clg400", 100.0)
    assert found.addresses["myproject_axi"] == [0x43C00000]
    assert "conv_engine" not in found.addresses
    assert read_design(REAL_BIT, load_board("pynq-z2")) == (parse_bit(REAL_BIT.read_bytes(), REAL_BIT), found)


def test_blocks_addresses_and_the_real_clock_are_read() -> None:
    found = parse_handoff(HANDOFF, HWH)
    assert found.clock_mhz == pytest.approx(299.997009)
    assert {kind: addresses for kind, addresses in found.addresses.items() if addresses} == {
        kind: [address] for kind, (_, address) in BLOCKS.items()
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is corrupt"),
        (HANDOFF[:-20], "is corrupt"),
        (b"<project/>", "is no hardware hand-off"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "is corrupt"),
        (HANDOFF.replace(b"0xA0010000", b"nowhere"), "an address is 'nowhere'"),
        (HANDOFF.replace(b'NAME="engine_', b'NAME="a&#10;engine_'), "SYSTEMINFO holds what is no text"),
    ],
)
def test_what_is_no_hand_off_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        parse_handoff(content, HWH)


def test_any_spoilt_hand_off_is_read_or_refused_in_one_line() -> None:
    def read(content: bytes) -> None:
        found = parse_handoff(content, HWH)
        assert found.clock_mhz is None or found.clock_mhz > 0

    accepted, refused = drive(read, mutated_text(HANDOFF.decode(), 2_500))
    assert accepted > 300
    assert refused > 300


@pytest.mark.parametrize("clock", ["0", "-1", "1e8", "²", "9" * 5_000, ""])
def test_a_clock_that_is_no_number_is_unknown(clock: str) -> None:
    content = HANDOFF.decode().replace('CLKFREQUENCY="299997009"', f'CLKFREQUENCY="{clock}"').encode()
    assert content != HANDOFF
    assert parse_handoff(content, HWH).clock_mhz is None


def test_missing_sections_are_survived() -> None:
    found = parse_handoff(b'<EDKSYSTEM><SYSTEMINFO NAME="a"/></EDKSYSTEM>', HWH)
    assert (found.part, found.clock_mhz, found.addresses) == ("", None, {})


@pytest.mark.parametrize(
    ("design", "part", "message"),
    [
        (
            "engine_cafecafe",
            "xczu7ev-ffvc1156-2-e",
            "is of design engine_cafecafe_wrapper, its hand-off of engine_0badcafe",
        ),
        ("engine_0badcafe", "xczu3eg-sbva484-1-i", "is for part xczu3eg-sbva484-1-i, its hand-off for xczu7evffvc1156"),
    ],
)
def test_files_of_two_designs_are_refused(design: str, part: str, message: str) -> None:
    board = load_board("zcu104" if "zu7ev" in part else "ultra96-v2")
    with pytest.raises(StorageError, match=message):
        parse_design(BIT, bit_file(design, part), HWH, HANDOFF, board)
