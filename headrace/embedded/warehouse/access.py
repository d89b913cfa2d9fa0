"""Who may come in: the two users and their passwords."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from headrace.core.files import write_atomically
from headrace.embedded.access import same_password
from headrace.embedded.warehouse.engine import Role
from headrace.embedded.warehouse.faults import AUTHENTICATION_FAILED, Fault
from headrace.embedded.warehouse.requests import HttpQuery
from headrace.errors import WrongUse
from headrace.settings import PIPELINE_USER

READER_USER = "default"


@dataclass(frozen=True)
class User:
    """Who asks, and the most that a handle of theirs may do."""

    name: str
    role: Role


@dataclass(frozen=True)
class Doorkeeper:
    """The passwords of the two users and the names this service answers to."""

    default_password: str
    pipeline_password: str
    names: frozenset[str]

    def identify(self, query: HttpQuery) -> User:
        """Return the user of a request, or raise the Fault 516 that tells nothing about which part was wrong."""
        name, password = query.credentials()
        expected = {READER_USER: self.default_password, PIPELINE_USER: self.pipeline_password}.get(name)
        if expected is None or not same_password(password, expected):
            raise Fault(
                AUTHENTICATION_FAILED,
                f"{name}: Authentication failed: password is incorrect, or there is no user with such name.",
            )
        return User(name, Role.PIPELINE if name == PIPELINE_USER else Role.WRITER)


def pipeline_password(path: Path) -> str:
    """Return the pipeline's password; the first start makes a random one, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe(32).encode(), mode=0o600)
    password = path.read_text().strip()
    if not password:
        raise WrongUse(f"the password file {path} is empty", hint="delete it; the next start makes a new one")
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return password
