"""Write ``docs/api.md``, the page of the whole public surface, from the front door and its docstrings.

    python docs/make_api.py

The examples are the cells of ``docs/api_examples.py``, which ``tests/test_front_door.py`` runs.
"""

import inspect
import re
from enum import EnumType
from pathlib import Path
from types import ModuleType

import codesign

PAGE = Path(__file__).with_name("api.md")
STUB = Path(codesign.__file__).with_suffix(".pyi")
INTRODUCTION = """# The public surface

Everything that `import codesign` offers. A name is imported, with what it needs, when it is first used. Made by
`python docs/make_api.py`; a test fails when this page is stale. The command line has the same steps: `codesign --help`.
"""
EXAMPLES = Path(__file__).with_name("api_examples.py")


def sections() -> dict[str, list[str]]:
    """Return the headings of the stub, each with the names below it."""
    found: dict[str, list[str]] = {}
    for line in STUB.read_text().splitlines():
        if heading := re.fullmatch(r"# ([A-Z][^.]*)", line):
            found[heading[1]] = []
        elif name := re.fullmatch(r"from .* as (\w+)", line):
            next(reversed(found.values())).append(name[1])
    return found


def examples() -> dict[str, str]:
    """Return the example of each section, which is the cell of that name."""
    cells = EXAMPLES.read_text().split("# %% ")[1:]
    return {heading: code.strip() for heading, _, code in (cell.partition("\n") for cell in cells)}


def signature(name: str, value: object) -> str:
    """Return how a name is called, with short names of types; of what is not called, the name alone."""
    if isinstance(value, ModuleType) or (isinstance(value, type) and issubclass(value, Exception)):
        return name
    if isinstance(value, type) and (getattr(value, "_is_protocol", False) or inspect.isabstract(value)):
        return name
    if isinstance(value, EnumType):
        return f"{name}: {', '.join(value.__members__)}"
    try:
        text = str(inspect.signature(value))  # type: ignore[arg-type]
    except ValueError:
        return name
    text = re.sub(r"(?:\w+\.)+(?=[A-Za-z_])", "", text.removesuffix(" -> None"))
    # The limits of a field are for its docstring.
    text = re.sub(r"Annotated\[(~?\w+), (?:Meta\([^)]*\)|Parameter\(.*?least=\d+\))\]", r"\1", text)
    text = re.sub(r"Optional\[(\w+)\]", r"\1 | None", text)
    return name + re.sub(r"'([A-Z]\w*)'|<(\w+\.?\w*): [^>]*>", r"\1\2", text)


def summary(value: object) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(value) or "").partition("\n")[0]


def entries(name: str) -> list[str]:
    """Return the lines on one name; those of a module are on each of its functions."""
    value = getattr(codesign, name)
    if not isinstance(value, ModuleType):
        return [f"- `{signature(name, value)}`  \n  {summary(value)}"]
    functions = [found for found in vars(value).values() if getattr(found, "__module__", "") == value.__name__]
    return [
        f"- `{signature(f'{name}.{function.__name__}', function)}`  \n  {summary(function)}" for function in functions
    ]


def page() -> str:
    """Return the page as Markdown."""
    parts = [INTRODUCTION]
    for heading, names in sections().items():
        lines = [line for name in names for line in entries(name)]
        parts.append(f"## {heading}\n\n```python\n{examples()[heading]}\n```\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
