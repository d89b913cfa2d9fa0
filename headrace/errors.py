"""The errors that headrace raises on purpose: one root, a stable code each, and what to do next.

Bad data is not an error here: it is a verdict, and goes to quarantine.
"""

from typing import ClassVar


class HeadraceError(Exception):
    """An error with a stable `code` and a `hint` that names the next action.

    >>> error = HeadraceError("the folder is gone", hint="create it again")
    >>> error.code, str(error), error.hint
    ('headrace', 'the folder is gone', 'create it again')
    """

    code: ClassVar[str] = "headrace"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Transient:
    """Mix-in: the same attempt may succeed later, so the engine retries."""


class Terminal:
    """Mix-in: no retry can help; a person has to act."""


class WrongUse(HeadraceError, Terminal):
    """A command, setting or argument that cannot be followed."""

    code = "wrong_use"


class ServiceUnreachable(HeadraceError, Transient):
    """Kafka, the registry or the warehouse does not answer."""

    code = "service_unreachable"


class SystemRefused(HeadraceError, Terminal):
    """The system refused a file or folder: no room, no permission, or no such place."""

    code = "system_refused"


class PortTaken(HeadraceError, Terminal):
    """Another program listens where one of our services should."""

    code = "port_taken"


class JarRefused(HeadraceError, Terminal):
    """A jar of the embedded broker is missing, or is not the one that kafka.lock pins."""

    code = "jar_refused"


class AlreadyRunning(HeadraceError, Terminal):
    """A second start on a home that is in use."""

    code = "already_running"


class TransactionFailed(HeadraceError, Transient):
    """A Kafka transaction did not commit: rebuild the producer and do the batch again."""

    code = "transaction_failed"


class BackupRefused(HeadraceError, Terminal):
    """A backup that cannot become a home: changed, foreign, of a later version, or the home is not empty."""

    code = "backup_refused"


class StageCrashed(HeadraceError, Transient):
    """A process of the pipeline lost what it runs on; a new one may do."""

    code = "stage_crashed"


class ProducerFenced(HeadraceError, Terminal):
    """A newer process owns this slot; this one must stop and must not retry."""

    code = "producer_fenced"


class PositionLost(HeadraceError, Terminal):
    """Where to read on is unknown, and guessing would lose or repeat records."""

    code = "position_lost"


class ContractInvalid(HeadraceError, Terminal):
    """A contract file that cannot be followed as it is written."""

    code = "contract_invalid"


class LearnerInvalid(HeadraceError, Terminal):
    """A learner's file that cannot be followed as it is written."""

    code = "learner_invalid"


class SchemaRefused(HeadraceError, Terminal):
    """The registry, or the rules for record schemas, refuse a schema."""

    code = "schema_refused"


class WarehouseRefused(HeadraceError, Terminal):
    """The warehouse answered a statement with an error that a retry does not mend."""

    code = "warehouse_refused"
