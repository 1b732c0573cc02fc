"""An FTP server on loopback."""

import contextlib
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it uses asyncore, of the library or of Python
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer


@contextlib.contextmanager
def ftp_server(folder: Path) -> Iterator[str]:
    """Its address; user `site` with the password `secret` may write, anybody may read."""
    authorizer = DummyAuthorizer()
    authorizer.add_anonymous(str(folder))
    authorizer.add_user("site", "secret", str(folder), perm="elradfmwMT")
    handler = type(
        "Handler", (FTPHandler,), {"authorizer": authorizer, "use_sendfile": False, "auth_failed_timeout": 0}
    )
    server = FTPServer(("127.0.0.1", 0), handler)
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            server.ioloop.loop(timeout=0.02, blocking=False)
        server.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"127.0.0.1:{server.address[1]}"
    finally:
        ended.set()
        thread.join(10)


@contextlib.contextmanager
def talker(words: bytes, again: bool) -> Iterator[str]:
    """The address of something that says this to who connects, over and over or once, and listens to nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            with contextlib.suppress(OSError), listening.accept()[0] as peer:
                peer.sendall(words)
                while again:
                    peer.sendall(words)
                peer.recv(1)
                ended.wait(10)

        ended = threading.Event()
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            thread.join(10)


@contextlib.contextmanager
def trickler() -> Iterator[str]:
    """The address of a server whose files come an octet at a time, and have no end."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as data:
        high, low = divmod(data.getsockname()[1], 256)
        answers = {
            "USER": "230 in",
            "TYPE": "200 fine",
            "PASV": f"227 here (127,0,0,1,{high},{low})",
            "RETR": "150 now",
        }

        def run() -> None:
            with (
                contextlib.suppress(OSError),
                listening.accept()[0] as peer,
                peer.makefile("rw", newline="\r\n") as words,
            ):
                said = "220 ready"
                while not said.startswith("150"):
                    words.write(f"{said}\n")
                    words.flush()
                    command = words.readline()
                    said = "550 none" if "root.json" in command else answers.get(command[:4].strip(), "502 what?")
                with data.accept()[0] as channel:
                    words.write(f"{said}\n")
                    words.flush()
                    while not ended.wait(0.01):
                        channel.sendall(b"x")

        ended = threading.Event()
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            ended.set()
            thread.join(10)
