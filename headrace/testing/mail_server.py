"""A real SMTP server on this machine that keeps what it is sent: STARTTLS, a login, and answers that a test sets."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "localhost"
_OK: Final = 250


@dataclass
class Mailbox:
    """What a server got and how it answers: `mails` whole, `logins` as (user, password, over TLS).

    `answers` are codes by command, in turn, the last for ever; a command without any is answered as usual.
    """

    port: int = 0
    tls: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    answers: Mapping[str, Sequence[int]] = field(default_factory=dict)
    mails: list[bytes] = field(default_factory=list)
    logins: list[tuple[str, str, bool]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def code(self, word: str) -> int:
        """Return the code that a command is answered with now; it was noted before."""
        codes = self.answers.get(word, ())
        return codes[min(self.commands.count(word), len(codes)) - 1] if codes else _OK


@contextmanager
def mail_server(
    *,
    tls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
    answers: Mapping[str, Sequence[int]] | None = None,
) -> Iterator[Mailbox]:
    """Yield what a running server keeps; it is there until the block ends."""
    box = Mailbox(tls=tls, login=login, answers=answers or {})

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            """Speak with one client."""
            _Session(self, box).run()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

    with Server((HOST, 0), Handler) as server:
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield box
        finally:
            server.shutdown()
            thread.join()


class _Session:
    """One client's session."""

    def __init__(self, handler: socketserver.StreamRequestHandler, box: Mailbox) -> None:
        self._handler, self._box, self._secure = handler, box, False
        self._socket = handler.request
        self._lines = handler.rfile

    def run(self) -> None:
        """Answer until the client leaves."""
        try:
            self._converse()
        except OSError:
            # A client that trusts nobody here hangs up in the middle of its greeting.
            self._box.commands.append("LEFT")
        finally:
            if self._secure:
                self._lines.close()
                self._socket.close()

    def _converse(self) -> None:
        self._say(220, "here")
        while line := self._lines.readline():
            word, _, rest = line.decode().strip().partition(" ")
            word = word.upper()
            self._box.commands.append(word)
            if not self._answered(word, rest):
                return

    def _answered(self, word: str, rest: str) -> bool:
        """Answer a command; return False when the session is over."""
        code = self._box.code(word)
        if code != _OK:
            self._say(code, "as the test asked")
        elif word == "EHLO":
            self._say(_OK, *self._features())
        elif word == "STARTTLS":
            self._encrypt()
        elif word == "AUTH":
            self._authenticate(rest)
        elif word == "DATA":
            self._say(354, "go on")
            self._box.mails.append(b"".join(iter(self._lines.readline, b".\r\n")))
            self._say(_OK, "ok")
        else:
            self._say(221 if word == "QUIT" else _OK, "ok")
        return word != "QUIT"

    def _features(self) -> list[str]:
        offered = ["localhost"]
        offered += ["STARTTLS"] if self._box.tls and not self._secure else []
        return offered + (["AUTH PLAIN"] if self._box.login else [])

    def _encrypt(self) -> None:
        if self._box.tls is None:
            self._say(502, "no TLS here")
            return
        self._say(220, "go on")
        self._socket = self._box.tls.wrap_socket(self._socket, server_side=True)
        self._lines, self._secure = self._socket.makefile("rb"), True

    def _authenticate(self, rest: str) -> None:
        _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        self._box.logins.append((user, password, self._secure))
        self._say(*((235, "welcome") if (user, password) == self._box.login else (535, "who are you")))

    def _say(self, code: int, *texts: str) -> None:
        *first, last = texts
        lines = [f"{code}-{text}\r\n" for text in first] + [f"{code} {last}\r\n"]
        self._socket.sendall("".join(lines).encode())
