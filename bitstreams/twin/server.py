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

_Fields = dict[str, object]
"""What a method answers: fields of its service's message; ``data`` goes in pieces where that is a stream."""
_Method = Callable[[Any], _Fields]
"""Takes a message, or an iterator over a stream of them."""
_Bounds = Callable[[Any], AbstractContextManager[None]]
"""Makes, of a call's context, what bounds the call."""


@dataclass(frozen=True)
class Served:
    """The board that a twin stands for, the sources of its engine, and its address."""

    board: str
    hardware_sha256: str
    host: str
    port: int


class TwinServer:
    """Serves one board until it is closed."""

    def __init__(self, board: TwinBoard, port: int = PYNQ_REMOTE_PORT) -> None:
        """Listen on loopback.

        Args:
            board: what is served; it is closed with the server.
            port: TCP port; 0 takes a free one.

        Raises:
            BoardError: the port is taken.
        """
        import_pynq(LOOPBACK)
        import grpc

        self.board = board
        # Otherwise two servers would share a port, and a client would meet either.
        options = (("grpc.so_reuseport", 0),)
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), options=options)
        _add_services(self._server, board, _bounding())
        try:
            self.port = int(self._server.add_insecure_port(f"{LOOPBACK}:{port}"))
        except RuntimeError as error:
            board.close()
            message = f"port: {port} on {LOOPBACK} is taken; name another, or stop what listens there"
            raise BoardError(message) from error
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


def _bounding() -> _Bounds:
    """Return what bounds calls that stream: how many there may be at once, and how long each may take.

    A stream holds a thread until it ends. Without these bounds, clients that stop in the middle take all threads.
    """
    free = threading.BoundedSemaphore(_STREAMS)

    @contextmanager
    def bounded(context: Any) -> Iterator[None]:
        """Hold one of the places, and cancel the call once its time is over.

        Raises:
            _ExhaustedError: all places are taken.
        """
        if not free.acquire(blocking=False):
            raise _ExhaustedError(f"{_STREAMS} transfers are in progress; try again in {STREAM_LIMIT_S:g} s")
        timer = threading.Timer(STREAM_LIMIT_S, context.cancel)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            free.release()

    return bounded


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


@contextmanager
def _refusing(context: Any) -> Iterator[None]:
    """Turn errors of the board into the status that a client sees."""
    from grpc import StatusCode

    try:
        yield
    except _ExhaustedError as error:
        context.abort(StatusCode.RESOURCE_EXHAUSTED, str(error))
    except KeyError as error:
        context.abort(StatusCode.NOT_FOUND, f"{error.args[0]} not found")
    except (PermissionError, ValueError) as error:
        context.abort(StatusCode.INVALID_ARGUMENT, str(error))
    except CodesignError as error:
        context.abort(StatusCode.INTERNAL, str(error))


def _add_services(server: Any, board: TwinBoard, bounded: _Bounds) -> None:
    import grpc
    from pynq.remote import buffer_pb2, gpio_pb2, mmio_pb2, remote_device_pb2

    for module, methods in (
        (remote_device_pb2, _device_methods(board)),
        (mmio_pb2, _mmio_methods(board)),
        (buffer_pb2, _buffer_methods(board.memory)),
        (gpio_pb2, _gpio_methods()),
    ):
        (service,) = module.DESCRIPTOR.services_by_name.values()
        handlers = {rpc.name: _handler(rpc, methods[rpc.name], bounded) for rpc in service.methods}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service.full_name, handlers)])


def _handler(rpc: Any, method: _Method, bounded: _Bounds) -> Any:
    """Return gRPC's handler of a call as its service describes it."""
    import grpc
    from google.protobuf.message_factory import GetMessageClass

    response = GetMessageClass(rpc.output_type)
    codecs = GetMessageClass(rpc.input_type).FromString, response.SerializeToString

    def answer(request: Any, context: Any) -> Any:
        with _refusing(context), (bounded if rpc.client_streaming else nullcontext)(context):
            return response(**method(request))

    def answer_in_pieces(request: Any, context: Any) -> Iterator[Any]:
        with _refusing(context), bounded(context):
            content = method(request)["data"]
            assert isinstance(content, bytes)
            for start in range(0, len(content), _CHUNK_BYTES):
                yield response(data=content[start : start + _CHUNK_BYTES])

    if rpc.server_streaming:
        return grpc.unary_stream_rpc_method_handler(answer_in_pieces, *codecs)
    if rpc.client_streaming:
        return grpc.stream_unary_rpc_method_handler(answer, *codecs)
    return grpc.unary_unary_rpc_method_handler(answer, *codecs)


def _device_methods(board: TwinBoard) -> dict[str, _Method]:
    name = ""

    def set_bitstream_attrs(request: Any) -> _Fields:
        nonlocal name
        name = request.binfile_name
        return {"status": True}

    def download(requests: Any) -> _Fields:
        content = bytearray()
        for request in requests:
            _extend(content, request.buffer)
        board.write_file(FIRMWARE + name, bytes(content))
        board.write_file(f"{FPGA_MANAGER}firmware", name.encode())
        return {"status": True}

    def writefile(requests: Any) -> _Fields:
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
        return {}

    return {
        "existsfile": lambda request: {"exists": request.file_path in board.files},
        "readfile": lambda request: {"data": board.files[request.file_path]},
        "writefile": writefile,
        "set_bitstream_attrs": set_bitstream_attrs,
        "download": download,
        "shutdown": lambda _: {"status": True},
        "set_pl_clk": lambda _: {"status": False},
    }


def _mmio_methods(board: TwinBoard) -> dict[str, _Method]:
    def address(request: Any) -> int:
        base, _, length = request.mmio_id.partition("+")
        if not 0 <= request.offset <= int(length) - 4:
            raise ValueError(f"offset {request.offset} lies outside {length} bytes")
        return int(base) + int(request.offset)

    def write(request: Any) -> _Fields:
        board.write(address(request), int.from_bytes(request.data[:4], "little"))
        return {"status": True}

    return {
        # The name says all of the window, so that the server keeps nothing of it.
        "get_mmio": lambda request: {"status": True, "mmio_id": f"{request.base_addr}+{request.length}"},
        "read": lambda request: {"status": True, "data": board.read(address(request))},
        "write": write,
    }


def _buffer_methods(memory: TwinMemory) -> dict[str, _Method]:
    def write(requests: Any) -> _Fields:
        at = 0
        for request in requests:
            try:
                memory.write(int(request.buffer_id), at, request.data)
            except ValueError:
                return {"msg": "Buffer overflow."}
            at += len(request.data)
        return {}

    def done(method: Callable[[int], None]) -> _Method:
        def answer(request: Any) -> _Fields:
            method(int(request.buffer_id))
            return {}

        return answer

    def address(request: Any) -> _Fields:
        address = int(request.buffer_id)
        if address not in memory.sizes():
            raise KeyError(address)
        return {"address": address}

    return {
        "allocate": lambda request: {"buffer_id": str(memory.allocate(request.size))},
        "write": write,
        "read": lambda request: {"data": memory.read(int(request.buffer_id))},
        "freebuffer": done(memory.free),
        "flush": done(memory.flush),
        "invalidate": done(memory.invalidate),
        "physical_address": address,
        "virtual_address": address,
        "cacheable": lambda _: {"cacheable": True},
    }


def _gpio_methods() -> dict[str, _Method]:
    """Return the methods of pins that hold what was written to them; nothing is connected."""
    levels: dict[str, int] = {}

    def get_gpio(request: Any) -> _Fields:
        if not 0 <= request.index < _PINS:
            raise ValueError(f"pin {request.index} lies outside 0 to {_PINS - 1}")
        levels.setdefault(str(request.index), 0)
        return {"gpio_id": str(request.index)}

    def write(request: Any) -> _Fields:
        if request.gpio_id not in levels:
            raise KeyError(request.gpio_id)
        levels[request.gpio_id] = request.value
        return {}

    def unexport(request: Any) -> _Fields:
        levels.pop(request.gpio_id, None)
        return {}

    return {
        "get_gpio": get_gpio,
        "read": lambda request: {"value": levels[request.gpio_id]},
        "write": write,
        "unexport": unexport,
        "is_exported": lambda request: {"is_exported": request.gpio_id in levels},
        "get_gpio_base_path": lambda _: {"base_path": "/sys/class/gpio/gpiochip0"},
        "get_gpio_npins": lambda _: {"npins": _PINS},
    }
