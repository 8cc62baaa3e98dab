"""A TCP proxy that cuts its connections after so many bytes from the client."""

import contextlib
import socket
import threading


class CuttingProxy:
    """Forwards to a port of loopback; once ``budget`` bytes have passed, both sides are closed and stay so."""

    def __init__(self, port: int, budget: int, address: str = "127.0.0.1") -> None:
        self._target = port
        self.budget = budget
        self._listener = socket.create_server((address, 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [client, server]
            threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(16384):
                if counted:
                    self.budget -= len(content)
                    if self.budget < 0:
                        self.close()
                        return
                target.sendall(content)

    def close(self) -> None:
        """Cut everything, for good."""
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut what is open; new connections are forwarded again."""
        cut, self._open = self._open, []
        for connection in cut:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
