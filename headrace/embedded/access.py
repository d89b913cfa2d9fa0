"""How a client of an embedded HTTP service tells its password."""

import base64
import hmac


def basic_credentials(authorization: str) -> tuple[str, str] | None:
    """Return user and password of an Authorization header, None where it is not a sound one of the Basic scheme.

    >>> basic_credentials("Basic YTpiOmM="), basic_credentials("Bearer x"), basic_credentials("")
    (('a', 'b:c'), None, None)
    """
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return None
    return user, password


def same_password(given: str, expected: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(given.encode(errors="surrogateescape"), expected.encode())
