"""``codesign boards``: the known boards."""

from hw_templates.board import Board, board_names, load_board


def list_boards() -> tuple[Board, ...]:
    """Return the boards that have a name, sorted by it."""
    return tuple(map(load_board, board_names()))
