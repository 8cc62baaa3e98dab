from pathlib import Path

import pytest
from support.boards.vendor_files import bit_file, handoff
from support.mutations import drive, mutated_text

from bitstreams.building.bit_file import read_bit_file
from bitstreams.building.handoff import check_design, parse_handoff, read_design, read_handoff
from hw_templates.board import load_board
from hw_templates.foundation.errors import StorageError

FIXTURES = Path(__file__).parents[4] / "shared/fixtures/pynq_z2_ad08"
BLOCKS = {"conv_engine": ("s_axi_control", 0xA0000000), "engine_id": ("s_axi", 0xA0010000)}
HANDOFF = handoff("engine_0badcafe", "xczu7ev", "ffvc1156", "zynq_ultra_ps_e", 299_997_009, BLOCKS)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "design.hwh"
    path.write_bytes(content)
    return path


@pytest.mark.skipif(not FIXTURES.exists(), reason="the real hand-off is not at ../shared/fixtures")
def test_a_real_hand_off_belongs_to_its_bitstream() -> None:
    found = read_handoff(FIXTURES / "design_1_wrapper.hwh")
    assert (found.design, found.part, found.clock_mhz) == ("design_1", "7z020clg400", 100.0)
    engine = found.block("myproject_axi")
    assert engine is not None
    assert engine.addresses == (("s_axi_CTRL_BUS", 0x43C00000),)
    assert found.block("conv_engine") is None
    path = FIXTURES / "design_1_wrapper.bit"
    assert read_design(path, load_board("pynq-z2")) == (read_bit_file(path), found)


def test_blocks_addresses_and_the_real_clock_are_read(tmp_path: Path) -> None:
    found = read_handoff(written(tmp_path, HANDOFF))
    assert found.clock_mhz == pytest.approx(299.997009)
    assert {block.kind: block.addresses for block in found.blocks if block.addresses} == {
        kind: (window,) for kind, window in BLOCKS.items()
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
def test_what_is_no_hand_off_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        read_handoff(written(tmp_path, content))


def test_any_spoilt_hand_off_is_read_or_refused_in_one_line() -> None:
    def read(content: bytes) -> None:
        found = parse_handoff(content, Path("design.hwh"))
        assert found.clock_mhz is None or found.clock_mhz > 0

    accepted, refused = drive(read, mutated_text(HANDOFF.decode(), 2_500))
    assert accepted > 300
    assert refused > 300


@pytest.mark.parametrize("clock", ["0", "-1", "1e8", "²", "9" * 5_000, ""])
def test_a_clock_that_is_no_number_is_unknown(tmp_path: Path, clock: str) -> None:
    content = HANDOFF.decode().replace('CLKFREQUENCY="299997009"', f'CLKFREQUENCY="{clock}"').encode()
    assert content != HANDOFF
    assert read_handoff(written(tmp_path, content)).clock_mhz is None


def test_missing_sections_are_survived(tmp_path: Path) -> None:
    found = read_handoff(written(tmp_path, b'<EDKSYSTEM><SYSTEMINFO NAME="a"/></EDKSYSTEM>'))
    assert (found.part, found.clock_mhz, found.blocks) == ("", None, ())


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
def test_files_of_two_designs_are_refused(tmp_path: Path, design: str, part: str, message: str) -> None:
    path, board = tmp_path / "a.bit", load_board("zcu104" if "zu7ev" in part else "ultra96-v2")
    path.write_bytes(bit_file(design, part))
    with pytest.raises(StorageError, match=message):
        check_design(path, read_bit_file(path), read_handoff(written(tmp_path, HANDOFF)), board)
