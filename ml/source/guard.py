"""What the download process may do, enforced by the interpreter itself.

A URL that was checked can redirect, resolve to another address a moment later, or name a
page that names an address inside. So the check sits where connections are opened: an audit
hook (PEP 578) sees each address that is really dialled, whichever library dials it, and
cannot be removed. With an egress proxy that is the proxy's address alone, and no name is looked
up here. The same hook refuses to start programs and to write outside the
download's own directory.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

from ml.source.route import Route

_CONNECTIONS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})
_PROGRAM_STARTS = frozenset({"os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
JAVASCRIPT_RUNTIME = "deno"
"""The one program that may be started: some sites need a script run to find their media. It
runs without permission to use the network or files."""
MAX_MEMORY_BYTES = 2 * 1024**3
"""A page without an end is read into memory; this ends it."""


class Guard:
    """An audit hook, and whether it had to refuse a connection or a lookup."""

    def __init__(self, route: Route, directory: Path) -> None:
        self._route = route
        self._directory = f"{directory.resolve()}{os.sep}"
        self.refused_address = False

    def install(self, max_file_bytes: int) -> None:
        """Restrict this process for the rest of its life."""
        # Impersonating browsers, curl_cffi connects from C, where no hook would see it.
        sys.modules["curl_cffi"] = None  # type: ignore[assignment]
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CONNECTIONS:
            self._check_connection(arguments[1])
        elif event in _LOOKUPS:
            self._check_lookup(arguments[0])
        elif event == "subprocess.Popen":
            if Path(os.fsdecode(arguments[0])).name != JAVASCRIPT_RUNTIME:
                raise PermissionError("programs may not be started")
        elif event in _PROGRAM_STARTS:
            raise PermissionError("programs may not be started")
        elif event == "open":
            self._check_open(arguments[0], arguments[2])

    def _check_connection(self, address: Any) -> None:
        """Refuse what is not permitted, and what is not an IP address: fail closed."""
        if isinstance(address, tuple) and self._route.permits(str(address[0]), int(address[1])):
            return
        self.refused_address = True
        raise PermissionError("that address may not be dialled")

    def _check_lookup(self, host: Any) -> None:
        name = host.decode("latin-1") if isinstance(host, bytes) else str(host)
        if not self._route.resolves(name):
            self.refused_address = True
            raise PermissionError("that name may not be looked up")

    def _check_open(self, path: Any, flags: int) -> None:
        if not isinstance(path, str | bytes) or not flags & _WRITING:
            return
        target = os.path.realpath(os.fsdecode(path))
        if target != os.devnull and not target.startswith(self._directory):
            raise PermissionError("files are written into the download directory alone")
