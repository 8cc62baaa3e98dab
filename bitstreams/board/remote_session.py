"""A board reached through PYNQ.remote: the client of pynq 4.0.0, with deadlines and without its caches on disk.

What the real client needs help with, all of it seen with pynq 4.0.0 and pynqmetadata 0.2.0:

- No call has a deadline, so one to a board that was switched off waits for ever: each gets one here.
- Metadata are pickled into the installed package, which two processes at once spoil: not here.
- A file that the board has already under the bitstream's name is not sent again, even where an earlier upload was cut:
  it is always sent here.
- Of Zynq-7000 designs the clock's frequency is not found, and loading one fails: it is supplied here.
- A view of a buffer is flushed to the buffer's start: only prefixes of a buffer are sent here.

The server asks for no password. Beyond loopback it is for networks that nobody else is on, or for tunnels.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bitstreams.board.session import PYNQ_REMOTE_PORT, is_loopback, lost, set_start, wait_until_done
from bitstreams.building.design import parse_handoff
from hw_templates.foundation.errors import BoardError, InvalidValueError
from hw_templates.foundation.extras import install_command

CALL_TIMEOUT_S = 20.0
"""Deadline of one call; the largest moves a bitstream or buffer of some 20 MB in messages of 2 MiB."""

_WINDOW = 0x1000
_STATE = "/sys/class/fpga_manager/fpga0/state"
_FIRMWARE = "/lib/firmware/"
_CHUNK_BYTES = 2 << 20
_REFUSALS = ("INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED")
"""Status of calls that the server answered and will not answer otherwise the next time."""

_WITHOUT_ZYNQ_CLOCK = ("4.0.0",)


class RemoteBuffer:
    """Memory of the board, allocated with pynq; see :class:`bitstreams.board.session.Buffer`."""

    def __init__(self, session: "RemoteSession", memory: Any) -> None:
        self._session = session
        self._memory = memory
        self.size = int(memory.nbytes)
        memory[:] = 0
        with session.calling():
            self.address = int(memory.physical_address)

    def write(self, offset: int, content: bytes) -> None:
        """Write and flush; the server takes a buffer from its start only, so what lies before goes along."""
        from pynq.remote import buffer_pb2 as messages

        end = offset + len(content)
        if offset < 0 or end > self.size:
            raise InvalidValueError("buffer.offset", offset, f"such that {len(content)} bytes fit into {self.size}")
        plain = memoryview(self._memory).cast("B")
        plain[offset:end] = content
        name = self._memory.buffer_id
        parts = (bytes(plain[at : min(at + _CHUNK_BYTES, end)]) for at in range(0, end, _CHUNK_BYTES))
        requests = (messages.BufferWriteRequest(buffer_id=name, data=part) for part in parts)
        with self._session.calling():
            answer = self._memory.stub.write(requests)
            if answer.msg:
                raise lost(self._session.where, answer.msg)
            self._memory.stub.flush(messages.FlushRequest(buffer_id=name))

    def read(self, offset: int, size: int) -> bytes:
        """Invalidate and read; the server sends the whole buffer."""
        with self._session.calling():
            self._memory.invalidate()
        return bytes(memoryview(self._memory).cast("B")[offset : offset + size])

    def free(self) -> None:
        """Give the memory back."""
        with contextlib.suppress(BoardError), self._session.calling():
            self._memory.freebuffer()


class RemoteSession:
    """A connection to PYNQ.remote's server; see :class:`bitstreams.board.session.Session`."""

    via = "remote"
    times_on_board = False

    def __init__(self, host: str, port: int = PYNQ_REMOTE_PORT, insecure_remote: bool = False) -> None:
        """Connect.

        Args:
            host: name or address of the board.
            port: of the server.
            insecure_remote: that a host beyond loopback is meant, knowing that anyone on the way can read and write.

        Raises:
            InvalidValueError: the host is not loopback, and that was not said.
            BoardError: nobody answers there, or pynq is not installed.
        """
        if not is_loopback(host) and not insecure_remote:
            raise InvalidValueError(
                "host", host, "loopback, as PYNQ.remote has no password; tunnel it, or say --insecure-remote"
            )
        self.where = f"{host}:{port}"
        self._pynq = import_pynq(host)
        self._grpc_error: Any = self._pynq.pl_server.remote_device.grpc.RpcError
        self._windows: dict[int, Any] = {}
        self._started = 0.0
        self._buffers: list[RemoteBuffer] = []
        self._closed = False
        with self.calling():
            self._device = _device_class()(ip_addr=host, port=port, tag=f"codesign-{self.where}")
        self._pynq.Device.active_device = self._device
        self.architecture = str(self._device.arch)
        self.own_name = str(self._device.name)

    @contextlib.contextmanager
    def calling(self) -> Iterator[None]:
        """Turn what calls raise into one line.

        Raises:
            BoardError: the board does not answer, or refuses.
        """
        if self._closed:
            raise BoardError(f"{self.where}: the session is closed")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except self._grpc_error as error:
            code = error.code().name
            if code in _REFUSALS:
                raise BoardError(f"{self.where}: {error.details()}") from error
            raise lost(self.where, f"{code.lower().replace('_', ' ')} ({error.details()})") from error
        except RuntimeError as error:
            raise lost(self.where, str(error)) from error

    def load(self, bit: Path) -> None:
        """Send the bitstream and configure the logic."""
        pynq = self._pynq
        with self.calling():
            # Clocks keep the first device that they met.
            if "_real_instance" in vars(pynq.Clocks):
                del pynq.Clocks._real_instance
            overlay = pynq.Overlay(str(bit.resolve()), download=False, device=self._device)
            if pynq.__version__ in _WITHOUT_ZYNQ_CLOCK:
                hwh = bit.with_suffix(".hwh")
                clock_mhz = parse_handoff(hwh.read_bytes(), hwh).clock_mhz
                for clock in overlay.clock_dict.values():
                    if clock.get("enable") and clock.get("frequency") is None:
                        clock["frequency"] = clock_mhz
            name = f"{bit.stem}.bin"
            self._device.write_file(_FIRMWARE + name, overlay.parser.bin_data)
            overlay.download()
            state = self._device.read_file(_STATE).decode(errors="replace").strip()
        if state != "operating":
            raise BoardError(f"{self.where}: refuses {bit.name} (FPGA manager: {state}); build it for this board")

    def read(self, address: int) -> int:
        """Return the value of a register."""
        with self.calling():
            return int(self._window(address).read(address % _WINDOW))

    def write(self, address: int, value: int) -> None:
        """Set a register."""
        with self.calling():
            self._window(address).write(address % _WINDOW, value.to_bytes(4, "little"))

    def _window(self, address: int) -> Any:
        first = address - address % _WINDOW
        if first not in self._windows:
            self._windows[first] = self._pynq.MMIO(first, _WINDOW, device=self._device)
        return self._windows[first]

    def allocate(self, size: int) -> RemoteBuffer:
        """Allocate memory of the board."""
        with self.calling():
            memory = self._pynq.allocate((size,), dtype="u1", target=self._device)
        buffer = RemoteBuffer(self, memory)
        self._buffers.append(buffer)
        return buffer

    def check_places(self, table: int, base: int, word_bytes: int, layers: Sequence[Sequence[tuple[int, int]]]) -> None:
        """Do nothing: PYNQ.remote's server does not inspect programs. A twin's engine stops where one leaves memory."""

    def start(self, control: int) -> None:
        """Set the start bit."""
        self._started = set_start(self, control)

    def wait(self, control: int, timeout_s: float) -> float | None:
        """Wait until the engine is done, with a call for each poll: some tenths of a millisecond on loopback."""
        return wait_until_done(self, control, self._started, timeout_s)

    def read_file(self, path: str) -> bytes | None:
        """Return a file of the board."""
        with self.calling():
            return bytes(self._device.read_file(path)) if self._device.exists_file(path).exists else None

    def close(self) -> None:
        """Give all memory back and hang up."""
        # gRPC crashes the process where a call is made on a closed channel, as buffers do when they are collected.
        for buffer in self._buffers:
            buffer.free()
        self._closed = True
        self._device.client.channel.close()


def import_pynq(host: str) -> Any:
    """Return the package pynq, imported for boards that are reached from this machine.

    Raises:
        BoardError: it is not installed.
    """
    # Read when pynq is imported, and only then: without it, pynq looks for hardware of this machine.
    os.environ.setdefault("PYNQ_REMOTE_DEVICES", host)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pynq
            import pynq.pl_server.remote_device
    except ImportError as error:
        raise BoardError(f"pynq: cannot be imported ({error}); run `{install_command('board')}`") from error
    return pynq


@cache
def _device_class() -> Any:
    """Return pynq's remote device with deadlines, and without pickled metadata and state in the installed package."""
    import grpc
    from pynq.pl_server import embedded_device, remote_device

    class Deadline(
        grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]
        grpc.UnaryStreamClientInterceptor,  # type: ignore[misc]
        grpc.StreamUnaryClientInterceptor,  # type: ignore[misc]
    ):
        """Gives every call a deadline."""

        def _call(self, continuation: Any, details: Any, request: Any) -> Any:
            return continuation(details._replace(timeout=CALL_TIMEOUT_S), request)

        intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = _call

    class Channel(remote_device.GrpcChannel):  # type: ignore[misc]
        def __init__(self, ip_addr: str, port: int) -> None:
            super().__init__(ip_addr, port)
            self.channel: Any = grpc.intercept_channel(self.channel, Deadline())

    class Handler(remote_device.RemoteBitfileHandler):  # type: ignore[misc]
        def _get_cache(self) -> Any:
            raise embedded_device.CacheMetadataError("not used")

    class Device(remote_device.RemoteDevice):  # type: ignore[misc]
        def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> Any:
            return Handler(bitfile_name).get_parser(partial=partial)

        def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
            """Keep nothing."""

        def shutdown(self) -> None:
            """Do nothing: no design of this project has to be shut down."""

    remote_device.GrpcChannel = Channel
    return Device
