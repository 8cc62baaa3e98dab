import socket
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bitstreams.twin import server as twin_module
from bitstreams.twin.board import TwinBoard
from bitstreams.twin.server import TwinServer
from cost_models.coefficients import load_coefficients
from hw_templates.foundation.errors import BoardError


def test_a_twin_listens_on_loopback_only(zynq_twin: TwinServer) -> None:
    socket.create_connection(("127.0.0.1", zynq_twin.port), timeout=5).close()
    own = [entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for address in own:
        if not address.startswith("127."):
            with pytest.raises((ConnectionError, TimeoutError)):
                socket.create_connection((address, zynq_twin.port), timeout=2)


def test_a_port_that_is_taken_is_named(zynq_twin: TwinServer, zynq_project: Path) -> None:
    with pytest.raises(BoardError, match=f"port: {zynq_twin.port} on 127.0.0.1 is taken"):
        TwinServer(TwinBoard(zynq_project, load_coefficients()), zynq_twin.port)


class Stalled:
    """An upload that sends one piece and then nothing, until it is let go."""

    def __init__(self, channel: Any) -> None:
        from pynq.remote import remote_device_pb2, remote_device_pb2_grpc

        self._go_on = threading.Event()
        first = remote_device_pb2.WriteFileRequest(file_path="/lib/firmware/stalled.bin", data=b"first")

        def pieces() -> Iterator[Any]:
            yield first
            self._go_on.wait(60)

        self.call = remote_device_pb2_grpc.RemoteDeviceStub(channel).writefile.future(pieces(), timeout=60)

    def let_go(self) -> None:
        self._go_on.set()


def upload(channel: Any, pieces: Iterable[bytes], path: str = "/lib/firmware/whole.bin") -> None:
    from pynq.remote import remote_device_pb2, remote_device_pb2_grpc

    requests = (remote_device_pb2.WriteFileRequest(file_path=path, data=piece) for piece in pieces)
    remote_device_pb2_grpc.RemoteDeviceStub(channel).writefile(requests, timeout=30)


def exists(channel: Any, path: str) -> bool:
    from pynq.remote import remote_device_pb2, remote_device_pb2_grpc

    request = remote_device_pb2.ExistsFileRequest(file_path=path)
    return bool(remote_device_pb2_grpc.RemoteDeviceStub(channel).existsfile(request, timeout=10).exists)


def test_uploads_that_stall_keep_nobody_else_out(zynq_twin: TwinServer) -> None:
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{zynq_twin.port}") as channel:
        stalled = [Stalled(channel) for _ in range(9)]
        assert not exists(channel, "/lib/firmware/whole.bin")
        upload(channel, [b"whole"])
        assert zynq_twin.board.files["/lib/firmware/whole.bin"] == b"whole"
        stalled += [Stalled(channel) for _ in range(30)]
        # All beyond the bound are refused at once; of the others none has ended.
        refused, places = [], set(stalled)
        while len(places) > 16:
            ended = {one for one in places if one.call.done()}
            refused += [one.call.code().name for one in ended]
            places -= ended
        assert set(refused) == {"RESOURCE_EXHAUSTED"}
        assert exists(channel, "/lib/firmware/whole.bin")
        with pytest.raises(grpc.RpcError, match="16 transfers are in progress"):
            upload(channel, [b"whole"])
        for one in places:
            one.let_go()
        for one in places:
            one.call.result()
        upload(channel, [b"again"])


def test_an_upload_that_stalls_is_ended_and_its_place_is_free(
    zynq_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import grpc

    monkeypatch.setattr(twin_module, "STREAM_LIMIT_S", 0.3)
    server = TwinServer(TwinBoard(zynq_project, load_coefficients()), 0)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            for _ in range(2):
                stalled = [Stalled(channel) for _ in range(16)]
                assert {one.call.exception().code().name for one in stalled} == {"CANCELLED"}
                for one in stalled:
                    one.let_go()
            assert server.board.files["/lib/firmware/stalled.bin"] == b"first"
            upload(channel, [b"whole"])
    finally:
        server.close()


def test_readers_that_stall_are_ended_and_keep_nobody_out(zynq_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import grpc
    from pynq.remote import remote_device_pb2, remote_device_pb2_grpc

    monkeypatch.setattr(twin_module, "STREAM_LIMIT_S", 1.0)
    server = TwinServer(TwinBoard(zynq_project, load_coefficients()), 0)
    server.board.write_file("/lib/firmware/large.bin", bytes(32 << 20))
    request = remote_device_pb2.ReadFileRequest(file_path="/lib/firmware/large.bin")
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub = remote_device_pb2_grpc.RemoteDeviceStub(channel)
            calls = [stub.readfile(request, timeout=60) for _ in range(16)]
            for call in calls:
                next(call)
            assert exists(channel, "/lib/firmware/large.bin")
            # Nobody reads on; the places become free all the same.
            deadline = time.monotonic() + 30
            while True:
                try:
                    upload(channel, [b"whole"])
                    break
                except grpc.RpcError as error:
                    assert "16 transfers are in progress" in str(error)  # noqa: PT017
                    assert time.monotonic() < deadline
    finally:
        server.close()


def test_a_file_without_end_is_refused_and_takes_no_more_than_the_bound(
    zynq_twin: TwinServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import grpc
    from pynq.remote import remote_device_pb2, remote_device_pb2_grpc

    monkeypatch.setattr(twin_module, "FILE_BYTES", 100_000)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 1000
            yield bytes(1000)

    with grpc.insecure_channel(f"127.0.0.1:{zynq_twin.port}") as channel:
        with pytest.raises(grpc.RpcError, match="a file has more than 100,000 bytes"):
            upload(channel, endless())
        assert sent > 100_000
        assert len(zynq_twin.board.files["/lib/firmware/whole.bin"]) == 100_000
        requests = (remote_device_pb2.DownloadRequest(buffer=piece) for piece in endless())
        with pytest.raises(grpc.RpcError, match="a file has more than 100,000 bytes"):
            remote_device_pb2_grpc.RemoteDeviceStub(channel).download(requests, timeout=30)
        upload(channel, [bytes(60_000), bytes(40_000)])


def test_windows_of_registers_are_kept_by_their_name_alone(zynq_twin: TwinServer) -> None:
    import grpc
    from pynq.remote import mmio_pb2, mmio_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{zynq_twin.port}") as channel:
        stub = mmio_pb2_grpc.MmioStub(channel)
        names = {stub.get_mmio(mmio_pb2.GetMmioRequest(base_addr=0xF8000000, length=4096)).mmio_id for _ in range(5)}
        (name,) = names
        stub.read(mmio_pb2.ReadRequest(mmio_id=name, offset=4092))
        for spoilt, offset in ((name, 4093), ("", 0), ("x+y", 0), ("5", 0)):
            with pytest.raises(grpc.RpcError, match="INVALID_ARGUMENT"):
                stub.read(mmio_pb2.ReadRequest(mmio_id=spoilt, offset=offset))


def test_pins_hold_what_was_written(zynq_twin: TwinServer) -> None:
    import grpc
    from pynq.remote import gpio_pb2, gpio_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{zynq_twin.port}") as channel:
        stub = gpio_pb2_grpc.GpioStub(channel)
        pin = stub.get_gpio(gpio_pb2.GetGpioRequest(index=54, direction="out"))
        stub.write(gpio_pb2.GpioWriteRequest(gpio_id=pin.gpio_id, value=1))
        assert stub.read(gpio_pb2.GpioReadRequest(gpio_id=pin.gpio_id)).value == 1
        with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
            stub.write(gpio_pb2.GpioWriteRequest(gpio_id="nowhere", value=1))
        for index in (-1, 118):
            with pytest.raises(grpc.RpcError, match=f"pin {index} lies outside 0 to 117"):
                stub.get_gpio(gpio_pb2.GetGpioRequest(index=index, direction="out"))
        with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
            stub.read(gpio_pb2.GpioReadRequest(gpio_id="nowhere"))
