"""The HTML page of a run: facts, then sections of text, pictures and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined


@dataclass(frozen=True)
class Fact:
    """One figure at the head of the page."""

    name: str
    value: str


@dataclass(frozen=True)
class Table:
    """Rows of text under headings."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of the page; ``picture`` is a file in the page's folder."""

    title: str
    text: str
    picture: str | None = None
    table: Table | None = None


def render_page(title: str, subtitle: str, facts: Sequence[Fact], sections: Sequence[Section]) -> str:
    """The page as HTML; every text is escaped."""
    environment = Environment(undefined=StrictUndefined, autoescape=True, keep_trailing_newline=True)
    template = environment.from_string((files("codesign.report") / "page.html.j2").read_text())
    return template.render(title=title, subtitle=subtitle, facts=facts, sections=sections)
