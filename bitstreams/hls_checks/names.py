"""Names in the source of what LLVM IR names."""

import re

from bitstreams.hls_checks.structs import SEPARATOR

_MANGLED = re.compile(r"(\d+)([A-Za-z_]\w*)$")
_INLINED = re.compile(r"(?:\.i\d*)+(?=\.|$)")
_SYMBOL_PART = re.compile(r"(\d+)|(I)|(E)|.")


def variable_name(value: str) -> str:
    """Return the name of a variable, or of a field of an object, by the name of one of its values.

    >>> variable_name("%rotate.sroa.5.0"), variable_name("%window.i-at.0")
    ('rotate', 'window.at')
    >>> variable_name("@_ZZ5stagevE4kept"), variable_name("@_ZN12_GLOBAL__N_15LEASTE")
    ('kept', 'LEAST')
    """
    name = value.lstrip("%@").strip('"')
    if name.startswith("_ZN"):
        return callee_name(name).rpartition("::")[2]
    if value.startswith("@"):
        for start in range(len(name)):
            match = _MANGLED.match(name, start)
            if match and int(match[1]) == len(match[2]):
                return match[2]
        return name
    parts = [_INLINED.sub("", part).split(".")[0] for part in name.split(SEPARATOR)]
    return ".".join(part for part in parts if part) or name


def callee_name(symbol: str) -> str:
    """Return the name of a function by its symbol: scopes and name, without types.

    >>> callee_name("_ZN3hls10burst_maxiImE4readEv"), callee_name("_Z5clampi"), callee_name("memcpy")
    ('hls::burst_maxi::read', 'clamp', 'memcpy')
    """
    if not symbol.startswith("_Z"):
        return symbol
    nested = symbol.startswith("_ZN")
    rest, names, depth = symbol[3 if nested else 2 :], [], 0
    while match := _SYMBOL_PART.match(rest):
        rest = rest[match.end() :]
        if match[1]:
            length = int(match[1])
            if not depth:
                names.append(rest[:length])
            rest = rest[length:]
        if match[3] and not depth:
            break
        if match[1] and not nested:
            break
        depth += bool(match[2]) - bool(match[3])
    return "::".join(names) or symbol
