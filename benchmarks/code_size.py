"""How much code there is: tokens of Python in the four packages, and what of a design's structure can be counted.

    python benchmarks/code_size.py [--root FOLDER]

Comments, docstrings and layout (line breaks, indentation, trailing commas) are not counted, nor is the front door
(``codesign/__init__.py``, ``codesign/api``). The counts are of the checkout at ``--root``; nothing is measured or
predicted.
"""

import argparse
import ast
import io
import tokenize
from itertools import pairwise
from pathlib import Path

PACKAGES = ("hw_templates", "cost_models", "bitstreams", "codesign")
_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def docstring_lines(tree: ast.Module) -> set[int]:
    """Return the lines that docstrings and other bare strings take."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def count_tokens(source: str) -> int:
    """Return the tokens of a module that are neither comment, docstring nor layout, which the formatter decides."""
    skipped = docstring_lines(ast.parse(source))
    tokens = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in _LAYOUT and token.start[0] not in skipped
    ]
    trailing_commas = sum(comma == "," and after in ")]}" for comma, after in pairwise(tokens))
    return len(tokens) - trailing_commas


def modules(root: Path) -> dict[str, list[Path]]:
    """Return the modules of each package, without the front door."""
    door = {root / "codesign/__init__.py", *(root / "codesign/api").rglob("*.py")}
    return {package: [p for p in sorted((root / package).rglob("*.py")) if p not in door] for package in PACKAGES}


def loose_dictionaries(source: str) -> int:
    """Return how many annotations of parameters and results are ``dict[str, Any]``."""
    found = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            annotations = [argument.annotation for argument in arguments] + [node.returns]
            found += sum("dict[str, Any]" in ast.unparse(each) for each in annotations if each)
    return found


def main() -> None:
    """Print one figure a package and their sum."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--root", type=Path, default=Path(__file__).parents[1])
    total = loose = 0
    for package, paths in modules(options.parse_args().root).items():
        sources = [path.read_text() for path in paths]
        tokens = sum(map(count_tokens, sources))
        total += tokens
        loose += sum(map(loose_dictionaries, sources))
        print(f"figure code_tokens_{package} {tokens} tokens")
    print(f"figure code_tokens {total} tokens")
    print(f"figure loose_dictionaries {loose} signatures")


if __name__ == "__main__":
    main()
