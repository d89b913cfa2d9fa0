"""What OpenTelemetry's variables say of sending by OTLP, for each signal: whether, where and by which protocol."""

from collections.abc import Mapping
from enum import StrEnum

from headrace.observability.events import emit
from headrace.observability.sampling import DISABLED
from headrace.observability.trace_events import TelemetrySettingIgnored

HTTP, GRPC = "http/protobuf", "grpc"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Signal(StrEnum):
    """What is sent; the value is how variables are called."""

    TRACES = "TRACES"
    METRICS = "METRICS"
    LOGS = "LOGS"


def endpoint_of(signal: Signal, environment: Mapping[str, str]) -> str:
    """Return the endpoint that is named for a signal, "" for none: then nothing is sent.

    >>> endpoint_of(Signal.LOGS, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    'http://127.0.0.1:4318'
    >>> endpoint_of(Signal.LOGS, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_LOGS_EXPORTER": "none"})
    ''
    """
    off = environment.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() == "none"
    if off or environment.get(DISABLED, "").strip().lower() == "true":
        return ""
    return environment.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "") or environment.get(_ENDPOINT, "")


def protocol_of(signal: Signal, environment: Mapping[str, str]) -> str:
    """Return the protocol for a signal: `http/protobuf`, or `grpc` if the environment asks for it.

    >>> protocol_of(Signal.TRACES, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}), protocol_of(Signal.TRACES, {})
    ('grpc', 'http/protobuf')
    """
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if wanted := environment.get(name, "").strip().lower():
            if wanted not in {HTTP, GRPC}:
                emit(TelemetrySettingIgnored(setting=name, value=wanted, used=HTTP))
                return HTTP
            return wanted
    return HTTP
