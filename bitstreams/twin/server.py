"""The twin's server: PYNQ.remote's gRPC services, on loopback only, with a twin board behind them.

The services answer as the server on a board does (Xilinx/PYNQ, sdbuild/boot/meta-pynq/recipes-apps/pynq-cpp), with its
limits: a buffer is written from its start and read whole, and registers have 32 bits. Files, streams and their number
are bounded, so that no client keeps others out or fills this machine's memory.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from bitstreams.board.remote_session import import_pynq
from bitstreams.board.session import PYNQ_REMOTE_PORT
from bitstreams.twin.board import FIRMWARE, FPGA_MANAGER, TwinBoard
from bitstreams.twin.memory import TwinMemory
from hw_templates.foundation.errors import BoardError, CodesignError

_CHUNK_BYTES = 1 << 20
LOOPBACK = "127.0.0.1"

FILE_BYTES = 64 << 20
"""Most that a file may have; bitstreams of the largest devices have some 30 MB."""

STREAM_LIMIT_S = 30.0
"""Longest time that a call may send or take a stream of messages."""

_THREADS, _STREAMS = 32, 16
_PINS = 118


@dataclass(frozen=True)
class Served:
    """The board that a twin stands for, the sources of its engine, and its address."""

    board: str
    hardware_sha256: str
    host: str
    port: int


class TwinServer:
    """Serves one board until it is closed."""

    def __init__(self, board: TwinBoard, port: int = PYNQ_REMOTE_PORT, stream_limit_s: float = STREAM_LIMIT_S) -> None:
        """Listen on loopback.

        Args:
            board: what is served; it is closed with the server.
            port: TCP port; 0 takes a free one.
            stream_limit_s: longest time of a call that sends or takes a stream.

        Raises:
            BoardError: the port is taken.
        """
        import_pynq(LOOPBACK)
        import grpc

        self.board = board
        # Otherwise two servers would share a port, and a client would meet either.
        options = (("grpc.so_reuseport", 0),)
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), options=options)
        _add_services(self._server, board, grpc, _Streams(stream_limit_s))
        try:
            self.port = int(self._server.add_insecure_port(f"{LOOPBACK}:{port}"))
        except RuntimeError:
            self.port = 0
        if self.port == 0:
            board.close()
            raise BoardError(f"port: {port} on {LOOPBACK} is taken; name another, or stop what listens there")
        self._server.start()

    @property
    def served(self) -> Served:
        """Return what is served, and where."""
        return Served(self.board.board.name, self.board.hardware_sha256, LOOPBACK, self.port)

    def wait(self) -> None:
        """Serve until interrupted."""
        self._server.wait_for_termination()

    def close(self) -> None:
        """Stop serving and switch the board off."""
        self._server.stop(grace=0.2).wait()
        self.board.close()


class _Streams:
    """Calls that stream: how many there may be at once, and how long each may take.

    A stream holds a thread until it ends. Without these bounds, clients that stop in the middle take all threads.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._free = threading.BoundedSemaphore(_STREAMS)

    @contextmanager
    def bounded(self, context: Any) -> Iterator[None]:
        """Hold one of the places, and cancel the call once its time is over.

        Raises:
            _ExhaustedError: all places are taken.
        """
        if not self._free.acquire(blocking=False):
            raise _ExhaustedError(f"{_STREAMS} transfers are in progress; try again in {self._limit_s:g} s")
        timer = threading.Timer(self._limit_s, context.cancel)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._free.release()


class _ExhaustedError(Exception):
    """A bound of the server is reached."""


def _extend(content: bytearray, piece: bytes) -> None:
    """Add a piece to a file that a stream brings.

    Raises:
        _ExhaustedError: the file is then larger than :data:`FILE_BYTES`.
    """
    if len(content) + len(piece) > FILE_BYTES:
        raise _ExhaustedError(f"a file has more than {FILE_BYTES:,} bytes")
    content += piece


def _add_services(server: Any, board: TwinBoard, grpc: Any, streams: _Streams) -> None:
    from pynq.remote import buffer_pb2_grpc, gpio_pb2_grpc, mmio_pb2_grpc, remote_device_pb2_grpc

    status = grpc.StatusCode

    @contextmanager
    def refusing(context: Any) -> Iterator[None]:
        """Turn errors of the board into the status that a client sees."""
        try:
            yield
        except _ExhaustedError as error:
            context.abort(status.RESOURCE_EXHAUSTED, str(error))
        except (FileNotFoundError, KeyError) as error:
            context.abort(status.NOT_FOUND, f"{error} not found")
        except (PermissionError, ValueError) as error:
            context.abort(status.INVALID_ARGUMENT, str(error))
        except CodesignError as error:
            context.abort(status.INTERNAL, str(error))

    def answering(method: Callable[..., Any], bounded: Callable[[Any], AbstractContextManager[None]]) -> Any:
        """Wrap a method that takes a message, or a stream of them, and answers with one."""

        def answer(request: Any, context: Any) -> Any:
            with refusing(context), bounded(context):
                return method(request)

        return answer

    def single(method: Callable[..., Any]) -> Any:
        return answering(method, lambda _: nullcontext())

    def taking_stream(method: Callable[..., Any]) -> Any:
        return answering(method, streams.bounded)

    def giving_stream(method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method whose bytes are answered as a stream of messages."""

        def answer(request: Any, context: Any) -> Iterator[Any]:
            with refusing(context), streams.bounded(context):
                message, content = method(request)
                for start in range(0, len(content), _CHUNK_BYTES):
                    yield message(data=content[start : start + _CHUNK_BYTES])

        return answer

    wrappers = {
        "device.readfile": giving_stream,
        "device.writefile": taking_stream,
        "device.download": taking_stream,
        "buffer.read": giving_stream,
        "buffer.write": taking_stream,
    }
    services: tuple[tuple[str, Callable[..., None], dict[str, Callable[..., Any]]], ...] = (
        ("device", remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server, _device_methods(board)),
        ("mmio", mmio_pb2_grpc.add_MmioServicer_to_server, _mmio_methods(board)),
        ("buffer", buffer_pb2_grpc.add_RemoteBufferServicer_to_server, _buffer_methods(board.memory)),
        ("gpio", gpio_pb2_grpc.add_GpioServicer_to_server, _gpio_methods()),
    )
    for service, add, methods in services:
        servicer = type("Servicer", (), {})()
        for name, method in methods.items():
            setattr(servicer, name, wrappers.get(f"{service}.{name}", single)(method))
        add(servicer, server)


def _device_methods(board: TwinBoard) -> dict[str, Callable[..., Any]]:
    from pynq.remote import remote_device_pb2 as messages

    name = {"binfile": ""}

    def set_bitstream_attrs(request: Any) -> Any:
        name["binfile"] = request.binfile_name
        return messages.SetBitstreamAttrsResponse(status=True)

    def download(requests: Any) -> Any:
        content = bytearray()
        for request in requests:
            _extend(content, request.buffer)
        board.write_file(FIRMWARE + name["binfile"], bytes(content))
        board.write_file(f"{FPGA_MANAGER}firmware", name["binfile"].encode())
        return messages.DownloadResponse(status=True)

    def writefile(requests: Any) -> Any:
        first = next(requests, None)
        if first is None:
            raise ValueError("no file path provided")
        content = bytearray()
        try:
            for request in itertools.chain([first], requests):
                _extend(content, request.data)
        finally:
            # Of a stream that is cut, what arrived stands in the file.
            board.write_file(first.file_path, bytes(content))
        return messages.WriteFileResponse()

    return {
        "existsfile": lambda request: messages.ExistsFileResponse(exists=board.exists(request.file_path)),
        "readfile": lambda request: (messages.ReadFileResponse, board.read_file(request.file_path)),
        "writefile": writefile,
        "set_bitstream_attrs": set_bitstream_attrs,
        "download": download,
        "shutdown": lambda _: messages.ShutdownResponse(status=True),
        "set_pl_clk": lambda _: messages.SetPlClkResponse(status=False),
    }


def _mmio_methods(board: TwinBoard) -> dict[str, Callable[..., Any]]:
    from pynq.remote import mmio_pb2 as messages

    def get_mmio(request: Any) -> Any:
        # The name says all of the window, so that the server keeps nothing of it.
        return messages.GetMmioResponse(status=True, mmio_id=f"{request.base_addr}+{request.length}")

    def address(request: Any, size: int) -> int:
        base, _, length = request.mmio_id.partition("+")
        if not 0 <= request.offset <= int(length) - size:
            raise ValueError(f"offset {request.offset} lies outside {length} bytes")
        return int(base) + int(request.offset)

    def read(request: Any) -> Any:
        return messages.ReadResponse(status=True, data=board.read_register(address(request, 4)))

    def write(request: Any) -> Any:
        board.write_register(address(request, 4), int.from_bytes(request.data[:4], "little"))
        return messages.WriteResponse(status=True)

    return {"get_mmio": get_mmio, "read": read, "write": write}


def _buffer_methods(memory: TwinMemory) -> dict[str, Callable[..., Any]]:
    from pynq.remote import buffer_pb2 as messages

    def write(requests: Any) -> Any:
        at = 0
        for request in requests:
            try:
                memory.write(int(request.buffer_id), at, request.data)
            except ValueError:
                return messages.BufferWriteResponse(msg="Buffer overflow.")
            at += len(request.data)
        return messages.BufferWriteResponse()

    def read(request: Any) -> Any:
        address = int(request.buffer_id)
        return messages.BufferReadResponse, memory.read(address, 0, memory.size(address))

    def done(method: Callable[[int], None], response: Callable[..., Any]) -> Callable[..., Any]:
        def answer(request: Any) -> Any:
            method(int(request.buffer_id))
            return response()

        return answer

    def address(request: Any) -> Any:
        memory.size(int(request.buffer_id))
        return messages.AddressResponse(address=int(request.buffer_id))

    return {
        "allocate": lambda request: messages.AllocateResponse(buffer_id=str(memory.allocate(request.size))),
        "write": write,
        "read": read,
        "freebuffer": done(memory.free, messages.FreeBufferResponse),
        "flush": done(memory.flush, messages.FlushResponse),
        "invalidate": done(memory.invalidate, messages.InvalidateResponse),
        "physical_address": address,
        "virtual_address": address,
        "cacheable": lambda _: messages.CacheableResponse(cacheable=True),
    }


def _gpio_methods() -> dict[str, Callable[..., Any]]:
    """Return the methods of pins that hold what was written to them; nothing is connected."""
    from pynq.remote import gpio_pb2 as messages

    levels: dict[str, int] = {}

    def get_gpio(request: Any) -> Any:
        if not 0 <= request.index < _PINS:
            raise ValueError(f"pin {request.index} lies outside 0 to {_PINS - 1}")
        levels.setdefault(str(request.index), 0)
        return messages.GetGpioResponse(gpio_id=str(request.index))

    def write(request: Any) -> Any:
        if request.gpio_id not in levels:
            raise KeyError(request.gpio_id)
        levels[request.gpio_id] = request.value
        return messages.GpioWriteResponse()

    def unexport(request: Any) -> Any:
        levels.pop(request.gpio_id, None)
        return messages.GpioUnexportResponse()

    return {
        "get_gpio": get_gpio,
        "read": lambda request: messages.GpioReadResponse(value=levels[request.gpio_id]),
        "write": write,
        "unexport": unexport,
        "is_exported": lambda request: messages.GpioIsExportedResponse(is_exported=request.gpio_id in levels),
        "get_gpio_base_path": lambda _: messages.GetGpioBasePathResponse(base_path="/sys/class/gpio/gpiochip0"),
        "get_gpio_npins": lambda _: messages.GetGpioNPinsResponse(npins=_PINS),
    }
