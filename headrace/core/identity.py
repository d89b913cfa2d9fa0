"""Who is who: dataset names, file ids, trace ids, and the partition a file belongs to.

All of them follow from the data alone, so they are the same after any kill and on any machine.
"""

import hashlib
import re

from headrace.errors import WrongUse

DATASET_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED_DATASETS = frozenset(
    {"quality", "files", "ml", "lineage", "sink", "system", "default", "user", "otel", "headrace"}
)
# Tables of the headrace database that hold the platform's own records: a dataset of that name would collide.
RESERVED_TABLES = frozenset(
    {
        "quarantine",
        "alerts",
        "advice",
        "advice_entries",
        "alert_entries",
        "window_entries",
        "windows",
        "predictions",
        "model_metrics",
        "model_events",
        "model_event_entries",
        "profiles",
        "receipts",
        "file_entries",
        "otel_logs",
        "otel_traces",
        "otel_traces_trace_id_ts",
        "otel_traces_trace_id_ts_mv",
        "applied_ddl",
        "sink_blocks",
    }
)
FILE_ID_DIGITS = 16


def dataset_name_problem(name: str) -> str:
    """Return why `name` cannot be a dataset, or "" if it can.

    >>> dataset_name_problem("flights")
    ''
    >>> dataset_name_problem("Flights!")
    'dataset "Flights!": a name is a lower-case letter, then up to 62 of a-z, 0-9 and _'
    """
    if not DATASET_PATTERN.fullmatch(name):
        shown = name.encode("unicode_escape").decode()
        return f'dataset "{shown}": a name is a lower-case letter, then up to 62 of a-z, 0-9 and _'
    if name in RESERVED_DATASETS or name in RESERVED_TABLES:
        return f'dataset "{name}": this name is reserved for the platform'
    return ""


def check_dataset_name(name: str) -> str:
    """Return `name`, or raise WrongUse that says what a dataset name looks like."""
    if problem := dataset_name_problem(name):
        raise WrongUse(problem, hint="choose another name for the folder or for --dataset")
    return name


def file_id(digest: str) -> str:
    """Return the id that stands in the `_file` column: the digest's first 16 hex digits.

    The ledger holds the whole digest, and refuses a file whose prefix another digest already has.
    """
    return digest[:FILE_ID_DIGITS]


def digest_of(*parts: str) -> str:
    """Return the id that follows from some texts: the same ones have the same id.

    >>> digest_of("a", "bc") == digest_of("ab", "c")
    False
    """
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def trace_id(dataset: str, file: str) -> str:
    """Return the trace id of a file as 32 hex digits, from the dataset and its 16-digit file id.

    The same formula is the `_trace` alias column of every table, so it needs no storage and survives a kill.

    >>> trace_id("flights", "0123456789abcdef")
    '042ec2ae5d08e2f5fd4316e279aaa680'
    """
    return _trace_digest(dataset, file)[:32]


def root_span_id(dataset: str, file: str) -> str:
    """Return the span id (16 hex digits) of a file's root span."""
    return _trace_digest(dataset, file)[32:48]


def _trace_digest(dataset: str, file: str) -> str:
    return hashlib.sha256(f"{dataset}\0{file}".encode()).hexdigest()


def stable_slot(key: str, slots: int) -> int:
    """Return which of `slots` a key belongs to: the same in every process and release.

    >>> stable_slot("flights", 1)
    0
    """
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % slots
