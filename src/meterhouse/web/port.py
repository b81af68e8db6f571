"""The socket that a web server listens on.

Owns what every server of ours, in production, test and bench, must ask of the operating system.
"""

import socket
from typing import Final

# Connections that wait to be taken; as many as uvicorn asks for.
BACKLOG_MAX: Final = 2048


def open_port(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one.

    It names TCP itself: asyncio leaves Nagle's algorithm on where it cannot see the protocol, and
    then an answer's body waits 40 ms for the acknowledgement of its head.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG_MAX)
    except OSError:
        made.close()
        raise
    return made
