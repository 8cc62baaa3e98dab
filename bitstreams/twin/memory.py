"""A twin's memory as the processor's caches make it: buffers that are flushed and invalidated.

What is written to a buffer reaches the fabric when it is flushed, and what the fabric wrote reaches the buffer when it
is invalidated. A driver that forgets either fails here as on a board.
"""

import threading
from dataclasses import dataclass, field

from bitstreams.twin.fabric import MEMORY_ADDRESS, MEMORY_BYTES, Fabric
from hw_templates.foundation.errors import BoardError

_PAGE = 4096


def _paged(size: int) -> int:
    """Return the bytes that a buffer takes: whole pages, and one after them that no buffer has."""
    return (-(-size // _PAGE) + 1) * _PAGE


def _merged(parts: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts with one more, merged with those it touches; a stream of writes makes one part."""
    apart = [(first, last) for first, last in parts if last < start or first > end]
    touching = [(first, last) for first, last in parts if last >= start and first <= end]
    return [*apart, (min([start, *(first for first, _ in touching)]), max([end, *(last for _, last in touching)]))]


@dataclass
class _Buffer:
    """Memory that was allocated, what the cache holds of it, and which parts were written and not flushed."""

    size: int
    cache: bytearray
    dirty: list[tuple[int, int]] = field(default_factory=list)


class TwinMemory:
    """Buffers, each named by its physical address."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._buffers: dict[int, _Buffer] = {}
        self._lock = threading.Lock()

    def allocate(self, size: int) -> int:
        """Allocate memory and return its physical address.

        Raises:
            BoardError: less than that is left.
            StorageError: this machine has no room for it.
        """
        with self._lock:
            at = MEMORY_ADDRESS
            for taken, buffer in sorted(self._buffers.items()):
                if taken - at >= _paged(size):
                    break
                at = taken + _paged(buffer.size)
            if size < 1 or at + _paged(size) > MEMORY_ADDRESS + MEMORY_BYTES:
                raise BoardError(f"memory: no {size:,} bytes left of {MEMORY_BYTES:,}")
            self._fabric.reserve(at, size)
            self._buffers[at] = _Buffer(size, bytearray(self._fabric.read(at, size)))
            return at

    def free(self, address: int) -> None:
        """Give memory back.

        Raises:
            KeyError: it was not allocated; so for all that follows.
        """
        with self._lock:
            del self._buffers[address]
            self._fabric.release(address)

    def size(self, address: int) -> int:
        """Return the size of a buffer in bytes."""
        with self._lock:
            return self._buffers[address].size

    def write(self, address: int, offset: int, content: bytes) -> None:
        """Write into the processor's view of a buffer.

        Raises:
            ValueError: beyond its end.
        """
        with self._lock:
            buffer = self._buffers[address]
            if offset < 0 or offset + len(content) > buffer.size:
                raise ValueError(f"{offset + len(content):,} of {buffer.size:,} bytes")
            buffer.cache[offset : offset + len(content)] = content
            buffer.dirty = _merged(buffer.dirty, offset, offset + len(content))

    def read(self, address: int, offset: int, size: int) -> bytes:
        """Return the processor's view of a part of a buffer."""
        with self._lock:
            return bytes(self._buffers[address].cache[offset : offset + size])

    def flush(self, address: int) -> None:
        """Bring what was written to memory."""
        with self._lock:
            buffer = self._buffers[address]
            for start, end in buffer.dirty:
                self._fabric.write(address + start, bytes(buffer.cache[start:end]))
            buffer.dirty.clear()

    def invalidate(self, address: int) -> None:
        """Forget what the cache holds; what was written and not flushed is lost."""
        with self._lock:
            buffer = self._buffers[address]
            buffer.cache[:] = self._fabric.read(address, buffer.size)
            buffer.dirty.clear()
