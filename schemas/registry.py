"""The schema registry as the pipeline uses it: register, look up by id, and keep what was found."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

# The client lets the transport errors of its HTTP library through as they are, which is httpx2 or httpx, whichever is
# installed. Only this module says which; there is no public name. tests/unit/test_registry_client.py tells if it goes.
from confluent_kafka.schema_registry.common._httpx_compat import httpx
from confluent_kafka.schema_registry.error import SchemaRegistryError

from headrace.errors import SchemaRefused, ServiceUnreachable
from headrace.schemas.record import RecordSchema
from headrace.schemas.system import system_schema_text
from headrace.schemas.topics import value_subject
from headrace.settings import Settings, without_credentials

REGISTRY_USER = "headrace"
_LOCKED_OUT = frozenset({401, 403})
# What is said of the schema itself; 42205 is 422 too, but says that nobody may write just now.
_REFUSALS = frozenset({409, 422})
_NOT_PERMITTED = 42205
# What says that a subject, version or schema is unknown. A 404 with no such code is a proxy's, or a wrong address.
_UNKNOWN = frozenset(range(40401, 40410))
# Of a greater number a registry says that there is no such page, as a wrong address would; foreign bytes may have one.
_MOST_ID = 2**31 - 1


class Registry:
    """A client of any Confluent-compatible registry. Ids and schemas never change: what was found is kept for ever.

    Calls may block for a network round trip; they raise ServiceUnreachable if the registry does not answer, or answers
    with an error that says nothing about a schema. Not for use from several threads.
    """

    def __init__(self, settings: Settings) -> None:
        self._address = settings.registry_address()
        config = {"url": self._address}
        if password := settings.registry_password.get_secret_value():
            config["basic.auth.user.info"] = f"{REGISTRY_USER}:{password}"
        self._client = SchemaRegistryClient(config)
        self._texts: dict[int, str] = {}
        self._record_schemas: dict[int, RecordSchema] = {}
        self.system_id = functools.cache(self._system_id)

    def register(self, subject: str, text: str) -> int:
        """Register an Avro schema under a subject and return its id; the same text has the same id everywhere.

        Raises SchemaRefused if the registry finds it invalid or incompatible.
        """
        try:
            with self._answering():
                found: int = self._client.register_schema(subject, Schema(text, "AVRO"))
        except SchemaRegistryError as error:
            if error.http_status_code not in _REFUSALS or error.error_code == _NOT_PERMITTED:
                raise self._failing(error) from error
            message = f'subject "{subject}": the registry refuses the schema: {error.error_message}'
            raise SchemaRefused(message, hint="compare it with the registered versions of the subject") from error
        return found

    def latest(self, subject: str) -> tuple[int, str] | None:
        """Return (id, text) of a subject's newest schema, None if the subject is unknown. Asks every time."""
        try:
            with self._answering():
                found = self._client.get_latest_version(subject)
        except SchemaRegistryError as error:
            if error.error_code in _UNKNOWN:
                return None
            raise self._failing(error) from error
        return int(found.schema_id or 0), str(found.schema.schema_str)

    def text_of(self, schema_id: int) -> str | None:
        """Return the text of a schema id, None if the registry does not know it (and is asked again next time)."""
        if (known := self._texts.get(schema_id)) is not None:
            return known
        if not 0 < schema_id <= _MOST_ID:
            return None
        try:
            with self._answering():
                text = self._client.get_schema(schema_id).schema_str
        except SchemaRegistryError as error:
            if error.error_code in _UNKNOWN:
                return None
            raise self._failing(error) from error
        if text is not None:
            self._texts[schema_id] = text
        return text

    def record_schema(self, schema_id: int) -> RecordSchema | None:
        """Return the record schema of an id, None if unknown; raises SchemaRefused if it is not one of ours."""
        if (known := self._record_schemas.get(schema_id)) is not None:
            return known
        text = self.text_of(schema_id)
        if text is None:
            return None
        self._record_schemas[schema_id] = found = RecordSchema.from_avro(text)
        return found

    def close(self) -> None:
        """Close the connections; the registry can be asked no more."""
        self._client.close()

    def _system_id(self, topic: str, name: str) -> int:
        """Register one of the platform's own schemas for a topic and return its id."""
        return self.register(value_subject(topic), system_schema_text(name))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn no answer into ServiceUnreachable."""
        try:
            yield
        except httpx.TransportError as error:
            message = f"the schema registry at {without_credentials(self._address)} does not answer"
            raise ServiceUnreachable(message, hint="headrace status; headrace up") from error

    def _failing(self, error: SchemaRegistryError) -> ServiceUnreachable:
        status, address = error.http_status_code, without_credentials(self._address)
        hint = "see the registry's log"
        if status in _LOCKED_OUT:
            hint = "set HEADRACE_REGISTRY_PASSWORD to the registry's password"
        elif error.error_code == _NOT_PERMITTED:
            hint = "set the mode of the registry and of the subject to READWRITE"
        elif status in range(300, 500):
            hint = "is HEADRACE_REGISTRY_URL the address of a schema registry? see what lies between"
        detail = without_credentials(str(error.error_message))
        return ServiceUnreachable(f"the schema registry at {address} answers with {status}: {detail}", hint=hint)
