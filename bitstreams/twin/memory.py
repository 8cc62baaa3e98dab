"""A twin's memory as the processor's caches make it: buffers that are flushed and invalidated.

What is written to a buffer reaches the fabric when it is flushed, and what the fabric wrote reaches the buffer when it
is invalidated. A driver that forgets either fails here as on a board.
"""

import os
import tempfile
import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hw_templates.foundation.errors import BoardError, StorageError

MEMORY_ADDRESS = 0x1000_0000
MEMORY_BYTES = 1 << 28
"""Physical memory that buffers are allocated from; what no buffer takes costs nothing."""

_PAGE = 4096


def _paged(size: int) -> int:
    """Return the bytes that a buffer takes: whole pages, and one after them that no buffer has."""
    return (-(-size // _PAGE) + 1) * _PAGE


def _no_room(size: int, error: OSError) -> StorageError:
    """Return the error that says that the twin's memory finds no room where temporary files go."""
    reason = error.strerror or str(error)
    try:
        folder = tempfile.gettempdir()
    except OSError:
        folder = "TMPDIR"
    return StorageError(
        f"{folder}: has no room for {size:,} bytes of the twin's memory ({reason}); free it, or set TMPDIR"
    )


@dataclass(frozen=True)
class _Buffer:
    """Cached content of a buffer, and which of its bytes were written and not flushed."""

    cache: npt.NDArray[np.uint8]
    dirty: npt.NDArray[np.bool_]


class TwinMemory:
    """Buffers, each named by its physical address."""

    def __init__(self) -> None:
        """Make the memory, with nothing in it.

        Raises:
            StorageError: there is no folder for temporary files.
        """
        try:
            self.file = tempfile.TemporaryFile(prefix="codesign-twin-")  # noqa: SIM115
            try:
                os.ftruncate(self.file.fileno(), MEMORY_BYTES)
            except OSError:
                self.file.close()
                raise
        except OSError as error:
            raise _no_room(MEMORY_BYTES, error) from error
        self._fabrics = np.memmap(self.file, np.uint8, shape=MEMORY_BYTES)
        self._buffers: dict[int, _Buffer] = {}
        self._lock = threading.RLock()

    def close(self) -> None:
        """Let go of the memory."""
        self.file.close()

    def allocate(self, size: int) -> int:
        """Allocate memory and return its physical address.

        Raises:
            BoardError: less than that is left.
            StorageError: this machine has no room for it.
        """
        with self._lock:
            at = MEMORY_ADDRESS
            for taken, occupied in sorted(self.sizes().items()):
                if taken - at >= _paged(size):
                    break
                at = taken + _paged(occupied)
            if size < 1 or at + _paged(size) > MEMORY_ADDRESS + MEMORY_BYTES:
                raise BoardError(f"memory: no {size:,} bytes left of {MEMORY_BYTES:,}")
            try:
                # Without this, the first touch of a page that finds no room is a bus error, which ends the process.
                os.posix_fallocate(self.file.fileno(), at - MEMORY_ADDRESS, size)
            except OSError as error:
                raise _no_room(size, error) from error
            self._buffers[at] = _Buffer(np.empty(size, np.uint8), np.empty(size, np.bool_))
            self.invalidate(at)
            return at

    def free(self, address: int) -> None:
        """Give memory back, whose content stays as it is.

        Raises:
            KeyError: it was not allocated; so for all that follows.
        """
        with self._lock:
            del self._buffers[address]

    def write(self, address: int, offset: int, content: bytes) -> None:
        """Write into the processor's view of a buffer.

        Raises:
            ValueError: beyond its end.
        """
        with self._lock:
            buffer, end = self._buffers[address], offset + len(content)
            if offset < 0 or end > buffer.cache.size:
                raise ValueError(f"{end:,} of {buffer.cache.size:,} bytes")
            buffer.cache[offset:end] = np.frombuffer(content, np.uint8)
            buffer.dirty[offset:end] = True

    def read(self, address: int) -> bytes:
        """Return the processor's view of a buffer."""
        with self._lock:
            return self._buffers[address].cache.tobytes()

    def flush(self, address: int) -> None:
        """Bring what was written to memory."""
        with self._lock:
            buffer = self._buffers[address]
            np.copyto(self.physical(address, buffer.cache.size), buffer.cache, where=buffer.dirty)
            buffer.dirty[:] = False

    def invalidate(self, address: int) -> None:
        """Forget what the cache holds; what was written and not flushed is lost."""
        with self._lock:
            buffer = self._buffers[address]
            buffer.cache[:] = self.physical(address, buffer.cache.size)
            buffer.dirty[:] = False

    def sizes(self) -> dict[int, int]:
        """Return the sizes of all buffers in bytes."""
        with self._lock:
            return {address: buffer.cache.size for address, buffer in self._buffers.items()}

    def reaches(self, address: int, size: int) -> bool:
        """Return whether all of these bytes lie in one buffer."""
        return any(first <= address and address + size <= first + have for first, have in self.sizes().items())

    def physical(self, address: int, size: int) -> npt.NDArray[np.uint8]:
        """Return bytes of one buffer as the fabric has them, to read and to change.

        Raises:
            BoardError: no buffer has them all.
        """
        if not self.reaches(address, size):
            raise BoardError(f"0x{address:08X}: {size:,} bytes from there on lie in no allocated buffer")
        start = address - MEMORY_ADDRESS
        return self._fabrics[start : start + size]
