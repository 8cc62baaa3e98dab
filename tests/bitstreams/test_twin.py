import socket
from pathlib import Path

import pytest

from bitstreams.twin import TwinServer
from bitstreams.twin_board import TwinBoard
from cost_models.coefficients import load_coefficients
from hw_templates.errors import BoardError


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


def test_pins_hold_what_was_written(zynq_twin: TwinServer) -> None:
    import grpc
    from pynq.remote import gpio_pb2, gpio_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{zynq_twin.port}") as channel:
        stub = gpio_pb2_grpc.GpioStub(channel)
        pin = stub.get_gpio(gpio_pb2.GetGpioRequest(index=54, direction="out"))
        stub.write(gpio_pb2.GpioWriteRequest(gpio_id=pin.gpio_id, value=1))
        assert stub.read(gpio_pb2.GpioReadRequest(gpio_id=pin.gpio_id)).value == 1
        with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
            stub.read(gpio_pb2.GpioReadRequest(gpio_id="nowhere"))
