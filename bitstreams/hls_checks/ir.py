"""LLVM IR in text, as clang 14 writes it: functions, blocks, instructions, and the source lines that they stem from."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

from hw_templates.foundation.errors import ToolError

_DEFINE = re.compile(r"^define [^@]*@(?P<symbol>[\w.$]+|\"[^\"]+\")\(")
_DECLARE = re.compile(r"^declare [^@]*@([\w.$]+|\"[^\"]+\")\(")
_STRUCT = re.compile(r"^(%[\w.:$]+|%\"[^\"]+\") = type <?\{(.*)\}>?$")
_LABEL = re.compile(r"^([-\w.$]+|\"[^\"]+\"):")
_ASSIGNED = re.compile(r"^\s+%([-\w.$]+|\"[^\"]+\") = (.*)$")
_METADATA = re.compile(r"^!(\d+) = (?:distinct )?!(.*)$")
_DEBUG = re.compile(r"!dbg !(\d+)")
_LOOP = re.compile(r"!llvm\.loop !(\d+)")
_ATTACHED = re.compile(r", ![\w.]+ !\d+")
_FIELD = re.compile(r"(\w+): (\"[^\"]*\"|[^,()]+)")
_CALLEE = re.compile(r"(@[\w.$]+|@\"[^\"]+\"|%[-\w.$]+)\(")
_TARGET = re.compile(r"label %([-\w.$]+|\"[^\"]+\")")

BINARY = frozenset(("add", "sub", "mul", "udiv", "sdiv", "urem", "srem", "shl", "lshr", "ashr", "and", "or", "xor"))
CASTS = frozenset(("zext", "sext", "trunc", "bitcast", "ptrtoint", "inttoptr", "addrspacecast"))
_FLAGS = frozenset(("nuw", "nsw", "exact", "volatile", "inbounds", "atomic", "tail", "musttail", "notail", "fast"))
_OPENING, _CLOSING = "([{<", ")]}>"


@dataclass(frozen=True, order=True)
class Place:
    """A line of the source."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{PurePath(self.file).name}:{self.line}"


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction.

    Attributes:
        name: of its value, without ``%``; empty where it has none.
        opcode: as LLVM calls it.
        type: of its value; of a store, that of what is stored.
        operands: values with ``%`` or ``@``, or constants. Of a phi: its values in the order of ``sources``.
        types: the type of each operand.
        detail: predicate of an ``icmp``, callee of a ``call``, type under the pointer of a ``getelementptr``.
        sources: blocks that a phi comes from, or that a terminator goes to.
        block: the block that it stands in.
        place: the line that it stems from; None where there is no such line.
    """

    name: str
    opcode: str
    type: str = ""
    operands: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    detail: str = ""
    sources: tuple[str, ...] = ()
    block: str
    place: Place | None = None

    @property
    def bits(self) -> int:
        """Bits of an integer value, else 0."""
        return bits_of_type(self.type)


@dataclass(frozen=True)
class LoopLines:
    """First and last line of a loop, and the number of the metadata at its back edge."""

    first: Place
    last: Place
    metadata: str


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function with its blocks in order, the first of which is entered.

    Attributes:
        name: as in the source, with the values of template parameters.
        parameters: types by name.
        loops: lines of the loop whose back edge leaves a block, by that block.
    """

    name: str
    symbol: str
    place: Place | None
    parameters: dict[str, str]
    blocks: dict[str, tuple[Instruction, ...]]
    loops: dict[str, LoopLines]

    def instructions(self) -> Iterator[Instruction]:
        """Yield all instructions, block by block."""
        for block in self.blocks.values():
            yield from block


@dataclass(frozen=True)
class Module:
    """The functions of a module by symbol, the symbols that are only declared, and the types of fields of structs."""

    functions: dict[str, Function]
    declared: frozenset[str]
    structs: dict[str, tuple[str, ...]]


def bits_of_type(kind: str) -> int:
    """Return the bits of an integer type, 0 for another one.

    >>> bits_of_type("i12"), bits_of_type("[4 x i12]*")
    (12, 0)
    """
    return int(kind[1:]) if kind[:1] == "i" and kind[1:].isdigit() else 0


def split_commas(text: str) -> list[str]:
    """Split at the commas that no bracket encloses.

    >>> split_commas("[4 x i8]* %a, i64 0, { i8, i8 } %b")
    ['[4 x i8]* %a', 'i64 0', '{ i8, i8 } %b']
    """
    ends = [position for position, character in _outside_brackets(text) if character == ","]
    begins = [0, *(end + 1 for end in ends)]
    parts = [text[begin:end].strip() for begin, end in zip(begins, [*ends, len(text)], strict=True)]
    return parts if parts[-1] else parts[:-1]


def split_type(text: str) -> tuple[str, str]:
    """Split a type from what stands behind it.

    >>> split_type("[256 x i64]* %in")
    ('[256 x i64]*', '%in')
    """
    for position, character in _outside_brackets(text):
        if character == " " and not text.startswith("(", position + 1):
            return text[:position], text[position + 1 :].strip()
    return text, ""


def _outside_brackets(text: str) -> Iterator[tuple[int, str]]:
    """Yield place and character of what is in no brackets and in no quotation marks."""
    depth, quoted = 0, False
    for position, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif not depth:
            yield position, character


class _Metadata:
    """The numbered metadata of a module: locations and the scopes that they lie in."""

    def __init__(self, text: str) -> None:
        self._lines = {
            match[1]: match[2] for line in text.splitlines() if line[:1] == "!" and (match := _METADATA.match(line))
        }
        self._places: dict[str, Place | None] = {}

    def fields(self, number: str) -> dict[str, str]:
        """Return the fields of an entry such as ``DILocation``."""
        return {name: value.strip() for name, value in _FIELD.findall(self._lines.get(number, ""))}

    def place(self, number: str) -> Place | None:
        """Return the line of a location; of line 0, what the compiler made up, there is none."""
        if number not in self._places:
            fields = self.fields(number)
            line = int(fields.get("line", "0"))
            file = self._file(fields.get("scope", ""))
            self._places[number] = Place(file, line) if line and file else None
        return self._places[number]

    def _file(self, reference: str) -> str:
        for _ in range(1000):  # scopes nest, and each entry names the one around it
            fields = self.fields(reference.lstrip("!"))
            if "filename" in fields:
                name, folder = fields["filename"].strip('"'), fields.get("directory", '""').strip('"')
                return str(PurePath(folder) / name)
            reference = fields.get("file") or fields.get("scope") or ""
        return ""

    def loop(self, number: str) -> LoopLines | None:
        """Return the lines of a loop by the entry at its back edge."""
        found = [
            place
            for entry in re.findall(r"!(\d+)", self._lines.get(number, ""))
            if self._lines.get(entry, "").startswith("DILocation") and (place := self.place(entry))
        ]
        return LoopLines(found[0], found[1], number) if len(found) > 1 else None


def read_module(text: str) -> Module:
    """Read a module of LLVM IR.

    Raises:
        ToolError: the text is no IR of functions, or a line of it is of no known form.
    """
    try:
        return _module(text)
    except (ValueError, IndexError) as error:
        raise ToolError(f"LLVM IR: a part is of no known form ({' '.join(str(error).split())})") from error


def _module(text: str) -> Module:
    metadata = _Metadata(text)
    functions: dict[str, Function] = {}
    lines = iter(text.splitlines())
    declared = set()
    structs = {}
    for line in lines:
        if match := _STRUCT.match(line):
            structs[match[1]] = tuple(split_commas(match[2]))
        if match := _DECLARE.match(line):
            declared.add(match[1].strip('"'))
        if not (match := _DEFINE.match(line)):
            continue
        body: list[str] = []
        for inner in lines:
            if inner == "}":
                break
            body.append(inner)
        else:
            raise ToolError(f"LLVM IR: the function {match['symbol']} does not end")
        function = _function(line, match, body, metadata)
        functions[function.symbol] = function
    if not functions:
        raise ToolError("LLVM IR: no function is defined")
    return Module(functions, frozenset(declared), structs)


def _function(head: str, match: re.Match[str], body: list[str], metadata: _Metadata) -> Function:
    symbol = match["symbol"].strip('"')
    parameters = {}
    for part in split_commas(_balanced(head, match.end() - 1)):
        kind, rest = split_type(part)
        if (name := rest.rpartition(" ")[2]).startswith("%"):
            parameters[name[1:]] = kind
    debug = _DEBUG.search(head)
    fields = metadata.fields(debug[1]) if debug else {}
    blocks: dict[str, list[Instruction]] = {}
    loops = {}
    block = ""
    for line in _joined(body):
        if label := _LABEL.match(line):
            block = label[1].strip('"')
            blocks[block] = []
        elif line.strip() and not line.lstrip().startswith(";"):
            if not blocks:  # the first block may have no label
                block = "entry"
                blocks[block] = []
            blocks[block].append(_instruction(line, block, metadata))
            if (loop := _LOOP.search(line)) and (span := metadata.loop(loop[1])):
                loops[block] = span
    return Function(
        name=fields.get("name", symbol).strip('"'),
        symbol=symbol,
        place=metadata.place(debug[1]) if debug else None,
        parameters=parameters,
        blocks={name: tuple(instructions) for name, instructions in blocks.items()},
        loops=loops,
    )


def _joined(body: list[str]) -> Iterator[str]:
    """Yield lines, the entries of a switch on its own line."""
    held = ""
    for line in body:
        held = f"{held} {line.strip()}" if held else line
        if held.rstrip().endswith("[") or (held.lstrip().startswith("switch") and "]" not in held):
            continue
        yield held
        held = ""


def _balanced(text: str, begin: int) -> str:
    """Return what the parentheses at ``begin`` enclose."""
    depth = 0
    for position in range(begin, len(text)):
        depth += (text[position] == "(") - (text[position] == ")")
        if not depth:
            return text[begin + 1 : position]
    raise ToolError(f"LLVM IR: parentheses that do not close: {text[:80]!r}")


def _instruction(line: str, block: str, metadata: _Metadata) -> Instruction:
    debug = _DEBUG.search(line)
    place = metadata.place(debug[1]) if debug else None
    assigned = _ASSIGNED.match(line)
    name, text = (assigned[1].strip('"'), assigned[2]) if assigned else ("", line.strip())
    text = _ATTACHED.sub("", text)
    opcode, _, rest = text.partition(" ")
    while opcode in _FLAGS:
        opcode, _, rest = rest.partition(" ")
    while rest.partition(" ")[0] in _FLAGS:
        rest = rest.partition(" ")[2]
    fields = _fields(opcode, rest)
    return Instruction(
        name=name,
        opcode=opcode,
        type=fields.type,
        operands=fields.operands,
        types=fields.types,
        detail=fields.detail,
        sources=fields.sources,
        block=block,
        place=place,
    )


class _Fields(NamedTuple):
    """The fields of an instruction that depend on its opcode."""

    type: str = ""
    operands: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    detail: str = ""
    sources: tuple[str, ...] = ()


def _fields(opcode: str, rest: str) -> _Fields:
    if opcode in BINARY or opcode == "icmp":
        detail, rest = rest.split(" ", 1) if opcode == "icmp" else ("", rest)
        kind, values = split_type(rest)
        operands = tuple(split_commas(values))
        return _Fields("i1" if opcode == "icmp" else kind, operands, (kind,) * len(operands), detail)
    if opcode in CASTS:
        source, target = rest.rsplit(" to ", 1)
        kind, value = split_type(source)
        return _Fields(target, (value,), (kind,))
    if opcode == "phi":
        kind, values = split_type(rest)
        pairs = [part.strip("[] ").rsplit(", ", 1) for part in split_commas(values)]
        return _Fields(
            kind,
            tuple(value.strip() for value, _ in pairs),
            (kind,) * len(pairs),
            sources=tuple(source.strip().lstrip("%").strip('"') for _, source in pairs),
        )
    if opcode in ("br", "switch"):
        first = split_commas(rest)[0]
        kind, value = split_type(first)
        targets = tuple(dict.fromkeys(target.strip('"') for target in _TARGET.findall(rest)))
        return _Fields(sources=targets) if kind == "label" else _Fields("", (value,), (kind,), sources=targets)
    if opcode == "call":
        return _call(rest)
    parts = split_commas(rest)
    detail = ""
    if opcode in ("load", "getelementptr"):
        detail, parts = parts[0], parts[1:]
    typed = [split_type(part) for part in parts if not part.startswith("align ")]
    typed = [(kind, value) for kind, value in typed if value]
    kind = typed[opcode == "select"][0] if typed else ""
    if opcode in ("load", "alloca"):
        kind = detail or parts[0]
    return _Fields(kind, tuple(value for _, value in typed), tuple(each for each, _ in typed), detail)


def _call(rest: str) -> _Fields:
    callee = _CALLEE.search(rest)
    if callee is None:
        raise ValueError("a call without a callee")
    arguments = [split_type(part) for part in split_commas(_balanced(rest, callee.end() - 1))]
    words = rest[: callee.start()].split()
    kind = next((word for word in words if bits_of_type(word) or word == "void"), words[-1] if words else "")
    return _Fields(
        kind,
        tuple(value.rpartition(" ")[2] for _, value in arguments),
        tuple(kind for kind, _ in arguments),
        callee[1].lstrip("@").strip('"'),
    )
