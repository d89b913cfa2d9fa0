"""What no log may hold: passwords and keys, and values of rows that other programs put into their messages."""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import SecretStr

from headrace.observability.log_lines import LogLine
from headrace.settings import PIPELINE_USER, Settings, without_credentials

HIDDEN = "***"
# A shorter secret is looked for as a word: in the middle of others it would make every line unreadable.
_SHORT = 4
_ENVIRONMENT = re.compile(r"^(HEADRACE|OTEL)_.*(PASSWORD|SECRET|TOKEN|KEY|HEADERS)(_|$)|(PASSWORD|SECRET|TOKEN)$")
# Fields that may hold another program's words, and the signs of such words.
FREE_TEXT = frozenset({"cause", "error", "detail", "reason"})
_FOREIGN = re.compile(r"DB::Exception|\b[A-Z]\w*(?:Error|Exception|Warning|Invalid|Exit|Interrupt)\b\s*[:(]")
_QUOTED = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|`(?:[^`\\\n]|\\.)*`|\u2018[^\u2019\n]*\u2019")
# An exception as Python shows it: its message, in quotes of its own. One that is a value has few words, or is a key.
_SHOWN = re.compile(r"\b(?!KeyError)(\w+\()(['\"])((?:[^\n\\]|\\.)*)\2(,?\))")
_WORDS_OF_A_MESSAGE = 3
# What ClickHouse shows of a row that it could not read, up to the end of the message.
_ROW_DUMP = re.compile(r"(?:\bRow \d+:|\(at row \d+\)|\bbefore: |\bColumn \d+, +name:).*", re.DOTALL)
_FRAME = re.compile(r'^\s+(?:File "|[\^~]+)')


class Redactor:
    """Takes secrets out of lines. Give it the settings; the pipeline's password is read anew when its file changes."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
        self._fixed = _secrets_of(settings) | _secrets_in(environment)
        self._file = settings.paths().pipeline_password_file
        self._stamp: tuple[int, int] | None = None
        self._pattern = _pattern_of(self._fixed)

    def clean(self, line: LogLine) -> LogLine:
        """Return the line without secrets, and without what other programs quote of rows."""
        self._refresh()
        foreign = line.logger != "headrace"
        fields = {name: self._field(name, value) for name, value in line.fields.items()}
        message = without_values(line.message) if foreign else line.message
        exception = self.text(traceback_without_values(line.exception)) if line.exception else ""
        return replace(line, message=self.text(message), fields=fields, exception=exception)

    def text(self, text: str) -> str:
        """Return a text without secrets and without user and password in its URLs."""
        text = self._pattern.sub(HIDDEN, text) if self._pattern else text
        return without_credentials(text) if "@" in text else text

    def _field(self, name: str, value: object) -> object:
        if isinstance(value, bool | int | float) or value is None:
            return value
        if isinstance(value, Mapping):
            return {str(key): self._field(name, one) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._field(name, one) for one in value]
        text = str(value)
        return self.text(without_foreign_values(text) if name in FREE_TEXT else text)

    def _refresh(self) -> None:
        """Learn the pipeline's own password, which changes with every start of the stack."""
        stamp = _stamp_of(self._file)
        if stamp != self._stamp:
            self._stamp = stamp
            own = {self._file.read_text().strip()} if stamp else set()
            self._fixed |= {one for password in own for one in _forms(PIPELINE_USER, password)}
            self._pattern = _pattern_of(self._fixed)


def without_foreign_values(text: str) -> str:
    """Return a text in which the words of another program quote nothing; our own words keep their quotes.

    >>> without_foreign_values('dataset "orders": no column "city"')
    'dataset "orders": no column "city"'
    >>> without_foreign_values("ValueError: invalid literal for int() with base 10: 'Ann Lee'")
    'ValueError: invalid literal for int() with base 10: ***'
    """
    found = _FOREIGN.search(text)
    return text if found is None else text[: found.start()] + without_values(text[found.start() :])


def without_values(text: str) -> str:
    """Return a message of another program without what it quotes: it may be a value of somebody's row.

    >>> without_values("RuntimeError('the thread that reads is dead')"), without_values("ValueError('Ann Lee')")
    ('RuntimeError(the thread that reads is dead)', 'ValueError(***)')
    """
    return _QUOTED.sub(HIDDEN, _SHOWN.sub(_unquoted, _ROW_DUMP.sub(HIDDEN, text)))


def _unquoted(shown: re.Match[str]) -> str:
    message = shown[3].replace("\\'", "'").replace('\\"', '"')
    return f"{shown[1]}{message}{shown[4]}" if len(message.split()) >= _WORDS_OF_A_MESSAGE else shown[0]


def traceback_without_values(text: str) -> str:
    """Return a traceback whose places and source lines stand, and whose messages quote nothing."""
    kept: list[str] = []
    for line in text.splitlines():
        source = bool(kept) and kept[-1].lstrip().startswith('File "')
        kept.append(line if source or _FRAME.match(line) or line.startswith("Traceback ") else without_values(line))
    return "\n".join(kept)


def _secrets_of(settings: Settings) -> set[str]:
    user_of = {"registry_password": "headrace", "warehouse_password": settings.warehouse_user}
    found: set[str] = set()
    for name, value in dict(settings).items():
        if isinstance(value, SecretStr):
            found |= _forms(user_of.get(name, settings.kafka_sasl_username), value.get_secret_value())
        elif isinstance(value, str) and "@" in value and "://" in value:
            address = urlsplit(value)
            found |= _forms(unquote(address.username or ""), unquote(address.password or ""))
    return found


def _secrets_in(environment: Mapping[str, str]) -> set[str]:
    """Return the values of variables that are secret by their name, such as the headers that OTLP is sent with."""
    found: set[str] = set()
    for name, value in environment.items():
        if _ENVIRONMENT.search(name) and len(value) >= _SHORT:
            parts = value.split(",") if name.endswith("_HEADERS") else []
            found |= _forms("", value) | {one for part in parts for one in _forms("", part.partition("=")[2].strip())}
    return found


def _forms(user: str, secret: str) -> set[str]:
    """Return the ways in which a secret is written: as it is, in a URL, and in the header of a login."""
    if not secret:
        return set()
    login = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return {secret, quote(secret, safe=""), quote_plus(secret), unquote(secret), repr(secret)[1:-1], login}


def _pattern_of(secrets: set[str]) -> re.Pattern[str] | None:
    longest_first = sorted((one for one in secrets if one), key=len, reverse=True)
    words = [re.escape(one) if len(one) >= _SHORT else rf"(?<!\w){re.escape(one)}(?!\w)" for one in longest_first]
    return re.compile("|".join(words)) if words else None


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        found: Any = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
