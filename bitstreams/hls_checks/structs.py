"""Objects of local structs and classes made into one variable a field, in LLVM IR.

An HLS tool takes such objects apart. LLVM does so too, but for one that holds an array with a variable index, which
then keeps all its fields in memory, where nothing can be seen of what recurs in them. It also forgets the names of
fields. Here each field becomes a variable of its own, named after the object and the field: ``window-rotate``.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

from bitstreams.hls_checks.ir import split_commas

SEPARATOR = "-"

_STRUCT = re.compile(r"^(%[\w.:$]+|%\"[^\"]+\") = type <?\{ ?(.*?) ?\}>?$", re.MULTILINE)
_ALLOCA = re.compile(r"^  %(?P<name>[-\w.$]+) = alloca (?P<type>%[\w.:$]+|%\"[^\"]+\"), align \d+(?P<rest>.*)$")
_FIELD = re.compile(
    r"^  %(?P<name>[-\w.$]+) = getelementptr inbounds (?P<type>[^,]+), [^,]+\* %(?P<of>[-\w.$]+), i32 0, "
    r"i32 (?P<field>\d+)(?P<rest>(?:, !\w+ !\d+)*)$"
)
_BYTES = re.compile(r"^  %(?P<name>[-\w.$]+) = bitcast [^*]+\* %(?P<of>[-\w.$]+) to i8\*(?P<rest>(?:, !\w+ !\d+)*)$")
_LIFETIME = re.compile(
    r"^  call void @llvm\.lifetime\.(?P<end>start|end)\.p0i8\(i64 (?:immarg )?-?\d+, i8\* (?:\w+ )*%(?P<of>[-\w.$]+)\)"
    r"(?P<rest>.*)$"
)
_VALUE = re.compile(r"%[-\w.$]+")
_SUFFIX = re.compile(r"(?:\.i\d*)+$|\d+$")
_NUMBERED = re.compile(r"%(\d+)(?=[\s,)\]*]|$)")
_MOST_LEVELS = 8


def split_structs(text: str) -> str:
    """Return a module in which fields of local objects are variables, where all uses of an object are of its fields."""
    text = _with_names(text)
    structs = {match[1]: tuple(split_commas(match[2])) for match in _STRUCT.finditer(text)}
    for _ in range(_MOST_LEVELS):
        changed = _split_level(text, structs)
        if changed == text:
            break
        text = changed
    return text


def _with_names(text: str) -> str:
    """Return a module whose values all have names, as a line that is left out would make a gap in numbers."""
    lines, inside = [], False
    for line in text.splitlines():
        inside = line.startswith("define ") or (inside and line != "}")
        changed = _NUMBERED.sub(r"%n\1", line) if inside else line
        lines.append(f"n{changed}" if inside and changed[:1].isdigit() else changed)
    return "\n".join(lines) + "\n"


def _split_level(text: str, structs: Mapping[str, tuple[str, ...]]) -> str:
    result: list[str] = []
    body: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("define "):
            inside = True
        if not inside:
            result.append(line)
            continue
        body.append(line)
        if line == "}":
            result += _split_function(body, structs)
            body, inside = [], False
    return "\n".join([*result, *body]) + "\n"


def _split_function(body: list[str], structs: Mapping[str, tuple[str, ...]]) -> list[str]:
    objects = {
        match["name"]: match["type"] for line in body if (match := _ALLOCA.match(line)) and match["type"] in structs
    }
    names = {of: _field_names(body, of) for of in objects}
    views = {match["name"]: match["of"] for line in body if (match := _BYTES.match(line)) and match["of"] in objects}
    # An object with a use that is none of a field, or of its life, stays as it is.
    whole = {name for line in body for name in _whole_uses(line, objects, views)}
    split = {name: structs[kind] for name, kind in objects.items() if name not in whole}
    return [part for line in body for part in _split_line(line, split, names, views)]


def _field_names(body: list[str], of: str) -> dict[int, str]:
    """Return names of an object's fields, after the first value that clang names after the field."""
    names: dict[int, str] = {}
    for line in body:
        if (match := _FIELD.match(line)) and match["of"] == of:
            plain = _SUFFIX.sub("", _SUFFIX.sub("", match["name"])).replace(".", "_")
            names.setdefault(int(match["field"]), plain or match["field"])
    taken: dict[str, int] = defaultdict(int)
    unique = {}
    for field, name in sorted(names.items()):
        taken[name] += 1
        unique[field] = name if taken[name] == 1 else f"{name}_{field}"
    return unique


def _whole_uses(line: str, objects: Mapping[str, str], views: Mapping[str, str]) -> set[str]:
    if match := _FIELD.match(line):
        of = match["of"]
        return set() if objects.get(of, match["type"]) == match["type"] else {of}
    if _ALLOCA.match(line) or _BYTES.match(line):
        return set()
    if match := _LIFETIME.match(line):
        return set()
    used = {name[1:] for name in _VALUE.findall(line)}
    return (used & objects.keys()) | {views[name] for name in used & views.keys()}


def _split_line(
    line: str, split: Mapping[str, tuple[str, ...]], names: Mapping[str, Mapping[int, str]], views: Mapping[str, str]
) -> list[str]:
    def part(of: str, field: int) -> str:
        return f"%{of}{SEPARATOR}{names[of].get(field, str(field))}"

    if (match := _ALLOCA.match(line)) and match["name"] in split:
        of = match["name"]
        return [f"  {part(of, field)} = alloca {kind}" for field, kind in enumerate(split[of])]
    if (match := _FIELD.match(line)) and match["of"] in split:
        field = int(match["field"])
        kind = split[match["of"]][field]
        return [f"  %{match['name']} = bitcast {kind}* {part(match['of'], field)} to {kind}*{match['rest']}"]
    if (match := _BYTES.match(line)) and match["of"] in split:
        return []
    if (match := _LIFETIME.match(line)) and views.get(match["of"]) in split:
        of = views[match["of"]]
        lines: list[str] = []
        for field, kind in enumerate(split[of]):
            view = f"{part(of, field)}.{match['end']}.{match['of']}"
            rest = match["rest"]
            debug = rest[rest.index(", !dbg") :] if ", !dbg" in rest else ""
            if not any(f"{view} =" in each for each in lines):
                lines.append(f"  {view} = bitcast {kind}* {part(of, field)} to i8*{debug}")
            lines.append(f"  call void @llvm.lifetime.{match['end']}.p0i8(i64 -1, i8* {view}){debug}")
        return lines
    return [line]
