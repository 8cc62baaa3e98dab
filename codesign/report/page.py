"""The HTML page of a run or calibration: facts, then sections of text, pictures and tables."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from codesign.progress import Update
from hw_templates.foundation.atomic_file import write_bytes_atomically, write_text_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 130


@dataclass(frozen=True)
class Table:
    """Rows of text under headings; in ``prose`` the cells are sentences, else numbers behind a name."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page; ``picture`` is a file in the page's folder."""

    title: str
    text: str
    picture: str | None = None
    table: Table | None = None


def render_page(title: str, subtitle: str, facts: Mapping[str, str], sections: Iterable[Section]) -> str:
    """The page as HTML; every text is escaped. ``facts`` are the figures at its head, by their names."""
    environment = Environment(undefined=StrictUndefined, autoescape=True, keep_trailing_newline=True)
    source = (files("codesign.report") / "page.html.j2").read_text()
    return environment.from_string(source).render(title=title, subtitle=subtitle, facts=facts, sections=sections)


def write_page(folder: Path, page: str, pictures: Mapping[str, "Figure"], update: Update) -> Path:
    """Write a page and its pictures, by file name, into a folder; return the path of the page.

    Raises:
        StorageError: a file cannot be written.
    """
    for index, (name, figure) in enumerate(pictures.items()):
        update(index / len(pictures), name)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
        write_bytes_atomically(folder / name, drawn.getvalue())
    write_text_atomically(path := folder / "index.html", page)
    return path
