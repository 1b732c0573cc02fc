"""An FTP server on loopback."""

import contextlib
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
