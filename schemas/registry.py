"""The schema registry as the pipeline uses it: register, look up by id, and keep what was found."""

import functools

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

# The client speaks through httpx or its successor, whichever is there, and lets transport errors through as they are.
from confluent_kafka.schema_registry.common._httpx_compat import httpx
from confluent_kafka.schema_registry.error import SchemaRegistryError

from headrace.errors import SchemaRefused, ServiceUnreachable
from headrace.schemas.record import RecordSchema
from headrace.schemas.system import system_schema_text
from headrace.schemas.topics import value_subject
from headrace.settings import Settings

REGISTRY_USER = "headrace"
_NOT_FOUND = 404


class Registry:
    """A client of any Confluent-compatible registry. Ids and schemas never change, so answers are kept for ever.

    Calls may block for a network round trip. Not for use from several threads.
    """

    def __init__(self, settings: Settings) -> None:
        self._address = settings.registry_address()
        config = {"url": self._address}
        if password := settings.registry_password.get_secret_value():
            config["basic.auth.user.info"] = f"{REGISTRY_USER}:{password}"
        self._client = SchemaRegistryClient(config)
        self.text_of = functools.cache(self._text_of)
        self.record_schema = functools.cache(self._record_schema)
        self.system_id = functools.cache(self._system_id)

    def register(self, subject: str, text: str) -> int:
        """Register an Avro schema under a subject and return its id; the same text has the same id everywhere.

        Raises SchemaRefused if the registry finds it invalid or incompatible, ServiceUnreachable if it does not answer.
        """
        try:
            found: int = self._client.register_schema(subject, Schema(text, "AVRO"))
        except SchemaRegistryError as error:
            message = f'subject "{subject}": the registry refuses the schema: {error.error_message}'
            raise SchemaRefused(message, hint="compare it with the registered versions of the subject") from error
        except httpx.TransportError as error:
            raise self._unreachable() from error
        return found

    def latest(self, subject: str) -> tuple[int, str] | None:
        """Return (id, text) of a subject's newest schema, None if the subject is unknown. Asks every time."""
        try:
            found = self._client.get_latest_version(subject)
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                return None
            raise SchemaRefused(f'subject "{subject}": {error.error_message}') from error
        except httpx.TransportError as error:
            raise self._unreachable() from error
        return int(found.schema_id or 0), str(found.schema.schema_str)

    def close(self) -> None:
        """Close the connections; the registry can be asked no more."""
        self._client.close()

    def _text_of(self, schema_id: int) -> str | None:
        """Return the text of a schema id, None if the registry does not know it."""
        try:
            text = self._client.get_schema(schema_id).schema_str
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                return None
            raise SchemaRefused(f"schema {schema_id}: {error.error_message}") from error
        except httpx.TransportError as error:
            raise self._unreachable() from error
        return text

    def _record_schema(self, schema_id: int) -> RecordSchema | None:
        """Return the record schema of an id, None if unknown; raises SchemaRefused if it is not one of ours."""
        text = self.text_of(schema_id)
        return None if text is None else RecordSchema.from_avro(text)

    def _system_id(self, topic: str, name: str) -> int:
        """Register one of the platform's own schemas for a topic and return its id."""
        return self.register(value_subject(topic), system_schema_text(name))

    def _unreachable(self) -> ServiceUnreachable:
        return ServiceUnreachable(
            f"the schema registry at {self._address} does not answer", hint="headrace status; headrace up"
        )
