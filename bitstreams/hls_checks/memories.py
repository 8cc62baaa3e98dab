"""Which memory, and which bank of it, a load or store in LLVM IR goes to."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bitstreams.hls_checks.ir import Function, Instruction, Place, split_commas, split_type
from bitstreams.hls_checks.loops import Loop
from bitstreams.hls_checks.names import variable_name
from bitstreams.hls_checks.pragmas import Sources

_ARRAY = re.compile(r"^\[(\d+) x (.*)\]$")
_CONSTANT = re.compile(r"^-?\d+$")
_GEP = re.compile(r"^getelementptr (?:inbounds )?\((.*)\)$")
_CAST = re.compile(r"^bitcast \((.*) to .*\)$")


@dataclass(frozen=True)
class Step:
    """A step from an object into it: the index of an array, None where it varies, or the field of a struct."""

    index: int | None
    is_field: bool = False

    def __str__(self) -> str:
        return f".{self.index}" if self.is_field else f"[{'*' if self.index is None else self.index}]"


@dataclass(frozen=True)
class Reference:
    """The place that a pointer points to: an object of the function, and the steps into it.

    Attributes:
        base: value of the object: ``%`` a parameter or local array, ``@`` a global one.
        steps: from the object into it.
        elements: how many a step whose index varies chooses from, in all.
        is_known: whether the object is one of these; else the pointer itself was loaded or chosen.
    """

    base: str
    steps: tuple[Step, ...] = ()
    elements: int = 1
    is_known: bool = True

    @property
    def is_fixed(self) -> bool:
        """Whether each iteration reaches the same element."""
        return all(step.index is not None for step in self.steps)

    @property
    def bank(self) -> tuple[Step, ...]:
        """The steps without the one along the innermost array, which is the address in a bank."""
        indices = [position for position, step in enumerate(self.steps) if not step.is_field]
        return self.steps[: indices[-1]] + self.steps[indices[-1] + 1 :] if indices else self.steps

    def overlaps(self, other: "Reference") -> bool:
        """Say whether two may be the same element, or one a part of the other."""
        return self.base == other.base and all(
            one == two or None in (one.index, two.index) for one, two in zip(self.steps, other.steps, strict=False)
        )


@dataclass(frozen=True, kw_only=True)
class BankAccess:
    """The accesses of an iteration to one bank of a memory."""

    memory: str
    bank: str
    reads: tuple[Place | None, ...]
    writes: tuple[Place | None, ...]


class Memories:
    """The memories that a function reaches."""

    def __init__(self, function: Function, structs: Mapping[str, tuple[str, ...]], sources: Sources) -> None:
        self._function = function
        self._structs = structs
        self._sources = sources
        self._values = {each.name: each for each in function.instructions() if each.name}
        self._references: dict[str, Reference] = {}
        self._accessed: dict[Loop, dict[str, list[tuple[str, Reference]]]] = {}

    @cached_property
    def _registers(self) -> frozenset[str]:
        return self._sources.registers()

    def of(self, access: Instruction) -> Reference:
        """Return what a load or store reaches."""
        return self._reference(access.operands[-1])

    def name(self, reference: Reference) -> str:
        """Return the name of an object in the source."""
        return variable_name(reference.base)

    def is_register(self, reference: Reference, loop: Loop) -> bool:
        """Say whether an element is a register: no memory is needed for it.

        That is a fixed element of what no access in the loop reaches at a varying place, an element of an array that is
        partitioned completely, or one of a command, which no iteration changes.
        """
        name = self.name(reference)
        if name in self._registers or name.rstrip("0123456789") in self._registers or self._is_command(reference, loop):
            return True
        others = self._accesses(loop).get(reference.base, [])
        return all(other.is_fixed for _, other in others if other.overlaps(reference))

    def is_independent(self, reference: Reference) -> bool:
        """Say whether a pragma states that iterations do not depend on each other by a memory."""
        return self.name(reference) in self._sources.independent()

    def banks(self, loop: Loop) -> list[BankAccess]:
        """Return the accesses of an iteration to each bank; an access to a bank that varies counts for all of them."""
        reads: dict[tuple[str, tuple[Step, ...]], list[Place | None]] = defaultdict(list)
        writes: dict[tuple[str, tuple[Step, ...]], list[Place | None]] = defaultdict(list)
        seen = set()
        for each in loop.listed:
            if each.opcode in ("load", "store"):
                reference = self.of(each)
                stored = any(opcode == "store" for opcode, _ in self._accesses(loop)[reference.base])
                again = not stored and each.operands[0] in seen  # the word is there already
                seen.add(each.operands[0])
                if reference.is_known and not again and not self.is_register(reference, loop):
                    bank = reference.bank if self._has_banks(reference) else ()
                    (reads if each.opcode == "load" else writes)[reference.base, bank].append(each.place)
        keys = dict.fromkeys((*reads, *writes))
        # A reference to an array points to the first of one.
        whole = {base for base, _ in keys if all(bank[:1] == (Step(0),) for of, bank in keys if of == base)}
        return [
            BankAccess(
                memory=variable_name(base),
                bank="".join(map(str, bank[base in whole :])),
                reads=tuple(_of_bank(reads, base, bank)),
                writes=tuple(_of_bank(writes, base, bank)),
            )
            for base, bank in keys
        ]

    def _has_banks(self, reference: Reference) -> bool:
        """Say whether outer dimensions are banks: those of a parameter are; of other arrays a pragma must say so."""
        is_parameter = reference.base[1:] in self._function.parameters
        indices = [step for step in reference.steps if not step.is_field]
        return is_parameter or len(indices) < 2 or self.name(reference) in self._sources.banked()

    def _is_command(self, reference: Reference, loop: Loop) -> bool:
        kind = self._function.parameters.get(reference.base[1:], "")
        if not kind.startswith("%") or not reference.steps or not any(step.is_field for step in reference.steps):
            return False
        return all(opcode == "load" for opcode, _ in self._accesses(loop).get(reference.base, []))

    def _accesses(self, loop: Loop) -> dict[str, list[tuple[str, Reference]]]:
        """Return the different accesses of a loop by object."""
        if loop not in self._accessed:
            unique: dict[str, dict[tuple[str, Reference], None]] = defaultdict(dict)
            for each in loop.listed:
                if each.opcode in ("load", "store"):
                    reference = self.of(each)
                    unique[reference.base][each.opcode, reference] = None
            self._accessed[loop] = {base: list(accesses) for base, accesses in unique.items()}
        return self._accessed[loop]

    def _reference(self, pointer: str) -> Reference:
        if pointer not in self._references:
            self._references[pointer] = Reference(pointer, is_known=False)  # against a cycle of pointers
            self._references[pointer] = self._resolved(pointer)
        return self._references[pointer]

    def _resolved(self, pointer: str) -> Reference:
        if pointer.startswith("@"):
            return Reference(pointer)
        if match := _GEP.match(pointer):
            kind, base, *indices = split_commas(match[1])
            return self._stepped(kind, split_type(base)[1], [split_type(index)[1] for index in indices])
        if match := _CAST.match(pointer):
            return self._reference(split_type(match[1])[1])
        made = self._values.get(pointer[1:])
        if made is None:
            return Reference(pointer, is_known=pointer[1:] in self._function.parameters)
        if made.opcode == "alloca":
            return Reference(pointer)
        if made.opcode in ("bitcast", "freeze"):
            return self._reference(made.operands[0])
        if made.opcode == "getelementptr":
            return self._stepped(made.detail, made.operands[0], made.operands[1:])
        return Reference(pointer, is_known=False)

    def _stepped(self, kind: str, base: str, indices: Sequence[str]) -> Reference:
        """Return what a ``getelementptr`` over values of a type points to."""
        start = self._reference(base)
        steps, elements = list(start.steps), start.elements
        first = _index(indices[0])
        if steps and not steps[-1].is_field:
            last = steps.pop().index
            steps.append(Step(None if last is None or first is None else last + first))
        elif first != 0 or (start.base[1:] in self._function.parameters and not kind.startswith("%")):
            steps.append(Step(first))  # a parameter points to the first of several
        for index in indices[1:]:
            if match := _ARRAY.match(kind):
                steps.append(Step(_index(index)))
                elements *= int(match[1]) if _index(index) is None else 1
                kind = match[2]
            else:
                fields = self._structs.get(kind) or tuple(split_commas(kind.strip("<>{} ")))
                number = _index(index) or 0
                steps.append(Step(number, is_field=True))
                kind = fields[number] if number < len(fields) else ""
        return Reference(start.base, tuple(steps), elements, start.is_known)


def _of_bank(
    accesses: Mapping[tuple[str, tuple[Step, ...]], list[Place | None]], base: str, bank: tuple[Step, ...]
) -> list[Place | None]:
    asked = Reference(base, bank)
    return [place for (of, its), places in accesses.items() if asked.overlaps(Reference(of, its)) for place in places]


def _index(text: str) -> int | None:
    return int(text) if _CONSTANT.match(text) else None
