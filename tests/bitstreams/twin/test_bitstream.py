from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from bitstreams.building.design import check_blocks, parse_bit, read_design
from bitstreams.twin.bitstream import hardware_of, write_twin_bitstream
from hw_templates.board import board_names, load_board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import StorageError


@pytest.mark.parametrize(("mine", "other"), list(permutations(Implementation)))
@pytest.mark.parametrize("name", board_names())
def test_a_twins_pair_passes_for_a_bitstream_of_its_board_and_implementation(
    name: str, mine: Implementation, other: Implementation, tmp_path: Path
) -> None:
    board, digest = load_board(name), "0123456789abcdef" * 4
    path = write_twin_bitstream(tmp_path, board, digest, 150, mine)
    bit, handoff = read_design(path, board)
    check_blocks(path, handoff, board, mine)
    with pytest.raises(StorageError, match=f"holds the engine of implementation {mine} .*, expected {other} "):
        check_blocks(path, handoff, board, other)
    assert path.name == "twin_0123456789abcdef.bit"
    assert bit.vivado == "twin"
    assert (bit.user_id, handoff.clock_mhz) == (0x01234567, 150)


def test_the_digest_is_found_in_what_the_manager_gets_and_in_nothing_else(tmp_path: Path) -> None:
    digest = "0123456789abcdef" * 4
    path = write_twin_bitstream(tmp_path, load_board("pynq-z2"), digest, 150)
    content = path.read_bytes()
    data = content[-parse_bit(content, path).configuration_bytes :]
    assert hardware_of(np.frombuffer(data, "i4").byteswap().tobytes()) == digest
    assert hardware_of(data) is None
    assert hardware_of(b"anything") is None
