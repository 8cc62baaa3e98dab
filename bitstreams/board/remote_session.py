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
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from bitstreams.board.runner import BoardRunner
from bitstreams.board.session import PYNQ_REMOTE_PORT, Session, is_loopback, lost
from bitstreams.building.design import parse_handoff
from hw_templates.foundation.errors import BoardError, InvalidValueError
from hw_templates.foundation.extras import install_command

_DEADLINE_S = 20.0
"""Deadline of one call; the largest moves a bitstream or buffer of some 20 MB in messages of 2 MiB."""

_REFUSALS = ("INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED")
"""Status of calls that the server answered and will not answer otherwise the next time."""

_WITHOUT_ZYNQ_CLOCK = ("4.0.0",)


class _RemoteRunner(BoardRunner):
    """The runner on this machine, with pynq's remote device in place of a board."""

    def claim(self, owner: str) -> None:
        """Do nothing: PYNQ.remote's server has no owner."""

    def hello(self) -> dict[str, str]:
        """Return what the device found out when it was connected."""
        return {"own_name": str(self._device.name), "architecture": str(self._device.arch)}

    def _configure(self, bit: Path) -> None:
        pynq = self._pynq
        # Clocks keep the first device that they met.
        if "_real_instance" in vars(pynq.Clocks):
            del pynq.Clocks._real_instance
        overlay = pynq.Overlay(str(bit), download=False, device=self._device)
        if pynq.__version__ in _WITHOUT_ZYNQ_CLOCK:
            hwh = bit.with_suffix(".hwh")
            clock_mhz = parse_handoff(hwh.read_bytes(), hwh).clock_mhz
            for clock in overlay.clock_dict.values():
                if clock.get("enable") and clock.get("frequency") is None:
                    clock["frequency"] = clock_mhz
        self._device.write_file(f"/lib/firmware/{bit.stem}.bin", overlay.parser.bin_data)
        overlay.download()

    def write_buffer(self, payload: bytes, address: int, offset: int) -> None:
        """Write and flush; the server takes a buffer from its start only, so what lies before goes along."""
        self._part(address, offset, len(payload))[:] = bytearray(payload)
        self._part(address, 0, offset + len(payload)).flush()

    def read_buffer(self, address: int, offset: int, size: int) -> bytes:
        """Invalidate and read; the server sends the whole buffer."""
        self._buffers[address].invalidate()
        return bytes(self._part(address, offset, size).tobytes())

    def read_file(self, path: str) -> bytes | None:
        """Return a file of the board."""
        return bytes(self._device.read_file(path)) if self._device.exists_file(path).exists else None


class RemoteSession(Session):
    """A connection to PYNQ.remote's server."""

    via = "remote"
    on_board = False

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
        self._closed = False
        pynq = import_pynq(host)
        with self._telling():
            self._device = _device_class()(ip_addr=host, port=port, tag=f"codesign-{self.where}")
        pynq.Device.active_device = self._device
        self._runner = _RemoteRunner(self._device)
        super().__init__()

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what calls to the server raise into one line; each of them has a deadline.

        Raises:
            BoardError: the board does not answer, or refuses.
        """
        import grpc

        if self._closed:
            raise BoardError(f"{self.where}: the session is closed")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except grpc.RpcError as error:
            code = error.code().name
            if code in _REFUSALS:
                raise BoardError(f"{self.where}: {error.details()}") from error
            raise lost(self.where, f"{code.lower().replace('_', ' ')} ({error.details()})") from error
        except RuntimeError as error:
            raise lost(self.where, str(error)) from error

    def hang_up(self) -> None:
        """Close the channel."""
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
            return continuation(details._replace(timeout=_DEADLINE_S), request)

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
