"""How a field's values are shown to people: as they are, in part, as a token, or not at all. Fails closed.

Read from an ODCS property: tag `pii`, `classification`, and the custom properties `pii`, `piiType` and `masking`.
"""

from enum import StrEnum
from typing import Final

from headrace.schemas.odcs import Property
from headrace.schemas.problems import Place, Problem

PII, PII_TYPE, MASKING = "pii", "piiType", "masking"
MASKING_PROPERTIES: Final = (PII, PII_TYPE, MASKING)
_OPEN_CLASSES: Final = frozenset({"", "public", "internal"})
# Kinds of personal data whose values may be told apart, though not read: a token of a value says nothing about it.
_TOKEN_TYPES: Final = frozenset({"email", "phone", "name", "address", "id", "account", "ip", "device"})
_HINT = "write hash, partial or hide"


class Masking(StrEnum):
    """What is shown of a value: itself, its first letter, a token that only equal values share, nothing."""

    SHOW = "show"
    PARTIAL = "partial"
    HASH = "hash"
    HIDE = "hide"


_WORDS: Final = {"partial": Masking.PARTIAL, "hash": Masking.HASH, "sha256": Masking.HASH, "hide": Masking.HIDE}


def read_masking(found: Property, place: Place, problems: list[Problem]) -> Masking:
    """Return how a field's values are shown; what cannot be followed is added to `problems`, and hides them.

    `masking` wins. Without it a field of personal data is hidden, but where `piiType` is a known kind and the class is
    not `restricted` its values are tokens. A classification that nobody knows counts as personal.
    """
    said = {one.property: one.value for one in found.custom_properties if one.property in MASKING_PROPERTIES}
    where = (*place, "customProperties")
    if not isinstance(said.get(PII, False), bool):
        problems.append(Problem(where, f"{PII} has a wrong value", said[PII], "write true or false"))
        return Masking.HIDE
    if not isinstance(said.get(PII_TYPE, ""), str):
        problems.append(Problem(where, f"{PII_TYPE} has a wrong value", said[PII_TYPE], "write a word, e.g. email"))
        return Masking.HIDE
    if MASKING in said:
        word = said[MASKING].lower() if isinstance(said[MASKING], str) else None
        if word not in _WORDS:
            problems.append(Problem(where, f"{MASKING} has a wrong value", said[MASKING], _HINT))
        return _WORDS.get(word or "", Masking.HIDE)
    classed = (found.classification or "").strip().lower()
    kind = str(said.get(PII_TYPE, "")).strip().lower()
    tagged = "pii" in (found.tags if isinstance(found.tags, list) else ()) or bool(said.get(PII)) or bool(kind)
    if not tagged and classed in _OPEN_CLASSES:
        return Masking.SHOW
    return Masking.HASH if kind in _TOKEN_TYPES and classed != "restricted" else Masking.HIDE
