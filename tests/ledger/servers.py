"""Servers that say what no HTTP server says, and one whose certificate nobody vouches for."""

import socket
import ssl
import subprocess
import threading
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
                if self._context:
                    connection = self._context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:  # the client did not trust it
                continue
            except OSError:
                return
            with connection:
                self.asked.append(request_of(connection))
                connection.sendall(self._answer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


def request_of(connection: socket.socket) -> bytes:
    """A request to the end of its body."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65536)
    head, _, body = read.partition(b"\r\n\r\n")
    [length] = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < int(length.split(b":")[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


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
