"""Servers that say what no HTTP server says, and one whose certificate nobody vouches for."""

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from itertools import takewhile
from pathlib import Path


class RawServer:
    """A server that keeps the bytes of each request and answers with the bytes it was given."""

    def __init__(self, answer: bytes, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[bytes] = []
        self._answer, self._context = answer, context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            # The client may not trust it, or have enough before all is sent.
            with suppress(OSError), self._spoken_to(connection) as client:
                self.asked.append(request_of(client))
                client.sendall(self._answer)

    def _spoken_to(self, connection: socket.socket) -> socket.socket:
        if self._context is None:
            return connection
        return self._context.wrap_socket(connection, server_side=True)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def request_of(connection: socket.socket) -> bytes:
    """A request to the end of its body."""
    with connection.makefile("rb") as sent:
        lines = list(takewhile(lambda line: line.strip(), sent))
        [length] = [line for line in lines if line.lower().startswith(b"content-length")]
        return b"".join(lines) + b"\r\n" + sent.read(int(length.split(b":")[1]))


def certificate_of(name: str, folder: Path, authority: Path | None = None) -> Path:
    """A key and a certificate in one file, signed by an authority made likewise, or by itself.

    `name` is whom it is for, such as `IP:127.0.0.1` or `DNS:localhost`.
    """
    key, certificate = folder / "server.key", folder / "server.pem"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subject = ["-subj", f"/CN={name.split(':')[1]}", "-addext", f"subjectAltName={name}"]
    signer = ["-CA", str(authority), "-CAkey", str(authority)] if authority else []
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    subprocess.run([*command, *files, *subject, *signer], check=True, capture_output=True)
    certificate.write_text(certificate.read_text() + key.read_text())
    return certificate


def tls(certificate: Path) -> ssl.SSLContext:
    """What a server with that certificate speaks."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context
