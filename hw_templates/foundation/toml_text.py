"""TOML text of records: what the standard library reads but does not write."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_WORD = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(record: Mapping[str, Any]) -> str:
    """Write nested dictionaries, lists, text, numbers and truth values as TOML; tables follow what stands before them.

    >>> print(toml_text({"name": "b", "ddr": {"peak_gb_s": 2.1}}), end="")
    name = "b"
    <BLANKLINE>
    [ddr]
    peak_gb_s = 2.1
    """
    return "\n".join(_lines(record, ())) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    if path:
        yield from ("", f"[{'.'.join(map(_key, path))}]")
    yield from (f"{_key(key)} = {_value(value)}" for key, value in table.items() if key not in inner)
    for key, value in inner.items():
        yield from _lines(value, (*path, key))


def _key(key: str) -> str:
    return key if _WORD.fullmatch(key) else json.dumps(key)


def _value(value: Any) -> str:
    # Lists, text, finite numbers and truth values are written as in JSON.
    return json.dumps(value, allow_nan=False, ensure_ascii=False)
