"""Column names that are safe everywhere (Avro, ClickHouse, Kafka, shells) made from the names that files have."""

import re
import unicodedata
from collections.abc import Collection, Sequence

MAX_LENGTH = 63
SAFE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
# Letters that Unicode does not take apart into a base letter and a mark.
_SPELLED = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D"}
    | {"þ": "th", "Þ": "Th", "ð": "d", "Ð": "D", "ı": "i", "%": " percent ", "#": " number ", "&": " and "}
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_UNSAFE = re.compile(r"[^a-z0-9]+")


def safe_names(originals: Sequence[str], taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return a distinct safe name for each original, in order; none is in `taken`.

    Safe means a lower-case letter, then up to 62 of a-z, 0-9 and _. A name that is safe stays as it is; what begins
    with `_` loses it, since system columns begin so. A name depends on the originals to its left only, so columns added
    at the end change no other. Deterministic, on every machine.

    >>> safe_names(["Order ID", "order_id", "_row", "Größe (cm)", "日本", "2013", "depTime"])
    ('order_id', 'order_id_2', 'row', 'grosse_cm', 'col_5', 'col_2013', 'dep_time')
    """
    used = set(taken)
    found: list[str] = []
    for position, original in enumerate(originals, start=1):
        name = _distinct(_safe(original, position), used)
        used.add(name)
        found.append(name)
    return tuple(found)


def _safe(original: str, position: int) -> str:
    if SAFE_NAME.fullmatch(original):
        return original
    parted = unicodedata.normalize("NFKD", original.translate(_SPELLED))
    plain = parted.encode("ascii", "ignore").decode()
    name = _UNSAFE.sub("_", _HUMP.sub("_", plain).lower()).strip("_")
    if not name:
        return f"col_{position}"
    if name[0].isdigit():
        name = f"col_{name}"
    return name[:MAX_LENGTH].rstrip("_")


def _distinct(name: str, used: Collection[str]) -> str:
    candidate, count = name, 1
    while candidate in used:
        count += 1
        suffix = f"_{count}"
        candidate = name[: MAX_LENGTH - len(suffix)] + suffix
    return candidate
