"""Every setting of headrace: its environment variable, default and meaning. docs/guide/reference.md tells them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from headrace.errors import WrongUse

LOOPBACK = "127.0.0.1"
PIPELINE_USER = "pipeline"
# Up to the last @, so that a password with any character in it is hidden whole.
_CREDENTIALS = re.compile(r"(?<=://)\S*@")


def without_credentials(text: str) -> str:
    """Return text for a person or a log, with user and password taken out of the URLs in it.

    >>> without_credentials("http://ann:s3c/r@t@registry.example:8081 does not answer")
    'http://registry.example:8081 does not answer'
    """
    return _CREDENTIALS.sub("", text)


class Settings(BaseSettings):
    """Settings from HEADRACE_* environment variables; an address left empty means the embedded service of this home."""

    model_config = SettingsConfigDict(env_prefix="HEADRACE_", extra="ignore", frozen=True)

    home: Path = Field(
        Path("data"), description="Folder with the inbox, the embedded services' data, logs and reports."
    )
    kafka_bootstrap: str = Field("", description="host:port,... of a Kafka cluster; empty: the embedded broker.")
    kafka_security_protocol: str = Field("", description="librdkafka's security.protocol, e.g. SASL_SSL.")
    kafka_sasl_mechanism: str = Field("", description="librdkafka's sasl.mechanism, e.g. SCRAM-SHA-512.")
    kafka_sasl_username: str = Field("", description="SASL user of the Kafka cluster.")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), description="SASL password of the Kafka cluster.")
    registry_url: str = Field("", description="URL of a Confluent-compatible schema registry; empty: the embedded one.")
    registry_password: SecretStr = Field(
        SecretStr(""), description="When set, the embedded registry demands it (user headrace)."
    )
    registry_incompatible_code: Annotated[Literal[409, 40901], BeforeValidator(int)] = Field(
        409, description="error_code of the embedded registry for incompatible schemas; Confluent 8 says 40901."
    )
    warehouse_url: str = Field("", description="URL of a ClickHouse HTTP interface; empty: the embedded one.")
    warehouse_user: str = Field("default", description="ClickHouse user of the pipeline outside the embedded stack.")
    warehouse_password: SecretStr = Field(
        SecretStr(""), description="Password of user default; when set it is demanded."
    )
    warehouse_replicated: bool = Field(
        False,
        description="Whether tables are made as replicated ones, in a database of ClickHouse's engine Replicated.",
    )
    kafka_port: int = Field(9092, ge=1, le=65_535, description="Port of the embedded Kafka broker.")
    kafka_controller_port: int = Field(9093, ge=1, le=65_535, description="Port of the embedded Kafka controller.")
    registry_port: int = Field(8081, ge=1, le=65_535, description="Port of the embedded schema registry.")
    warehouse_port: int = Field(8123, ge=1, le=65_535, description="Port of the embedded warehouse's HTTP interface.")
    predict_port: int = Field(8090, ge=1, le=65_535, description="Port where learners' predictions are asked for.")
    warehouse_query_secs: int = Field(
        300, ge=1, description="Longest time one query may run on the embedded warehouse."
    )
    warehouse_memory_mb: int = Field(
        1024, ge=256, description="Most memory of one query on the embedded warehouse, MiB; all together: twice that."
    )
    warehouse_result_mb: int = Field(
        16_384, ge=1, description="Largest result of one query on the embedded warehouse, MiB uncompressed."
    )
    kafka_heap_mb: int = Field(512, ge=256, description="Java heap of the embedded broker, MiB.")
    kafka_jars: Path | None = Field(
        None, description="Folder that already holds Kafka's jars; nothing is downloaded then."
    )
    maven_mirror: str = Field(
        "", description="URL of a Maven repository to take Kafka's jars from, instead of Maven Central."
    )
    replication_factor: int = Field(1, ge=1, description="Replication factor of the topics headrace creates.")
    retention_bytes: int = Field(10 * 2**30, ge=-1, description="retention.bytes of each data partition; -1: no bound.")
    rescan_secs: float = Field(
        2.0, gt=0, description="Seconds between two scans of the inbox; they catch missed file events."
    )
    stable_secs: float = Field(1.0, ge=0, description="How long a file without a close event must keep size and time.")
    frame_rows: int = Field(50_000, ge=1, le=1_000_000, description="Rows read and published in one transaction.")
    ingest_slots: int = Field(1, ge=1, le=64, description="Transactional producers of the watcher.")
    sink_slots: int = Field(1, ge=1, le=64, description="Transactional producers of the sink.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level of what is logged; `debug` tells every batch."
    )
    learners: bool = Field(
        True,
        description="Whether the pipeline learns and predicts: `false` leaves the processes learner and predict out.",
    )
    telemetry_port: int = Field(
        0,
        ge=0,
        le=65_500,
        description="First port of the processes' metrics on loopback (docs/guide/metrics.md); 0: any free ones.",
    )
    ready_lag: int = Field(1_000_000, ge=0, description="Lag from which on a stage's /ready says no.")
    live_secs: float = Field(180.0, gt=0, description="How long a stage's work loop may rest before /live says no.")
    monitor_stalled_secs: float = Field(
        120.0, gt=0, description="How long a stage may do nothing while work waits, or not report, before an alert."
    )
    monitor_lag_messages: int = Field(
        200_000, ge=1, description="From how many waiting messages on a lag that grows is an alert."
    )
    monitor_lag_secs: float = Field(300.0, gt=0, description="Over how long a lag must grow to be an alert.")
    monitor_restarts: int = Field(
        3, ge=1, description="How many restarts of a process within HEADRACE_MONITOR_RESTART_SECS are an alert."
    )
    monitor_restart_secs: float = Field(600.0, gt=0, description="The time in which restarts are counted.")
    monitor_disk_floor_mb: int = Field(
        1024, ge=0, description="With less room on the home's disk than so many MiB there is an alert."
    )
    monitor_folder_secs: float = Field(
        900.0, gt=0, description="How long a dataset whose files came regularly is silent at least, before an alert."
    )
    monitor_clear_secs: float = Field(
        30.0, gt=0, description="How long the cause of an alert of the platform must be gone before it is resolved."
    )
    drain_secs: float = Field(20.0, gt=0, description="How long a stage may take to finish its batch when stopped.")

    @field_validator("registry_url", "warehouse_url", "maven_mirror")
    @classmethod
    def _well_formed(cls, url: str, info: ValidationInfo) -> str:
        if url and (problem := _url_problem(url)):
            # Not a ValueError: pydantic would show the value, and with it the password.
            raise WrongUse(f"setting HEADRACE_{(info.field_name or '').upper()} {problem[0]}", hint=problem[1])
        return url

    def paths(self) -> "Paths":
        """Return the folders of this home."""
        return Paths(self.home.absolute())

    def kafka_client(self) -> dict[str, str]:
        """Return librdkafka's connection properties (with the password: never log them)."""
        found = {
            "bootstrap.servers": self.kafka_bootstrap or _address(self, "kafka"),
            "security.protocol": self.kafka_security_protocol,
            "sasl.mechanism": self.kafka_sasl_mechanism,
            "sasl.username": self.kafka_sasl_username,
            "sasl.password": self.kafka_sasl_password.get_secret_value(),
        }
        return {name: value for name, value in found.items() if value}

    def registry_address(self) -> str:
        """Return the registry's URL."""
        return self.registry_url or f"http://{_address(self, 'registry')}"

    def warehouse_address(self) -> str:
        """Return the URL of ClickHouse's HTTP interface."""
        return self.warehouse_url or f"http://{_address(self, 'warehouse')}"

    def predict_address(self) -> str:
        """Return the URL where predictions are asked for."""
        return f"http://{_address(self, 'predict')}"

    def warehouse_credentials(self) -> tuple[str, str]:
        """Return (user, password) of the pipeline: the embedded warehouse's own writer, else the user that is set."""
        own = self.paths().pipeline_password_file
        if not self.warehouse_url and own.exists():
            return PIPELINE_USER, own.read_text().strip()
        return self.warehouse_user, self.warehouse_password.get_secret_value()


def settings_problems(error: ValidationError) -> WrongUse:
    """Return what is wrong with the settings, each by the name of its variable; secret values are not shown."""
    problems = [
        f"HEADRACE_{'.'.join(map(str, found['loc'])).upper()}: {found['msg'].lower()}"
        for found in error.errors(include_url=False, include_input=False)
    ]
    return WrongUse(f"settings: {'; '.join(problems)}", hint="docs/guide/reference.md lists them, under Settings")


def _url_problem(url: str) -> tuple[str, str] | None:
    """Return (what is wrong with an http URL, the next action), None if nothing is; no part of the URL is in it."""
    try:
        found = urlsplit(url)
        sound = found.scheme in {"http", "https"} and bool(found.hostname) and found.port != 0
    except ValueError:
        found, sound = None, False
    # With a bare / ? or # in the password the host ends there, and the real one stands in what follows.
    if "@" in url and (found is None or not sound or "@" in found.path + found.query + found.fragment):
        what = "cannot be read: its user or password has a character that means something else in a URL"
        return what, "write such characters as codes: %2F for /, %3F for ?, %23 for #, %5B for [, %40 for @"
    if not sound:
        return "is not an address", "write http://HOST:PORT or https://HOST:PORT"
    return None


@dataclass(frozen=True)
class Paths:
    """The folders of one home. Nothing is created by naming them."""

    home: Path

    @property
    def inbox(self) -> Path:
        """Watched: inbox/<dataset>/FILE."""
        return self.home / "inbox"

    @property
    def work(self) -> Path:
        """Claimed files: work/<dataset>/FILE."""
        return self.home / "work"

    @property
    def done(self) -> Path:
        """Published files: done/<dataset>/<12 of digest>-FILE."""
        return self.home / "done"

    @property
    def rejected(self) -> Path:
        """Files that could not be read at all."""
        return self.home / "rejected"

    @property
    def contracts(self) -> Path:
        """contracts/<dataset>.odcs.yaml, the law; drafted from the first file where there is none."""
        return self.home / "contracts"

    @property
    def learners(self) -> Path:
        """learners/<name>.yaml: what is learned from which dataset; those that come with headrace are copied here."""
        return self.home / "learners"

    @property
    def models(self) -> Path:
        """What was learned, by learner and version."""
        return self.home / "models"

    @property
    def manifests(self) -> Path:
        """What senders say of their files: manifests/<dataset>/FILE.json, with `rows` and sums by field."""
        return self.home / "manifests"

    @property
    def silences(self) -> Path:
        """Which alerts a person asked not to be told of, and until when."""
        return self.home / "silences.yaml"

    @property
    def notify(self) -> Path:
        """Who is told of alerts; without it nobody is."""
        return self.home / "notify.yaml"

    @property
    def monitor(self) -> Path:
        """Which alerts about the line itself are open or not told yet, and when files came."""
        return self.home / "monitor.json"

    @property
    def kafka(self) -> Path:
        """The embedded broker's data."""
        return self.home / "kafka"

    @property
    def warehouse(self) -> Path:
        """The embedded warehouse's data."""
        return self.home / "warehouse"

    @property
    def logs(self) -> Path:
        """One log file a process."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Locks, process ids, addresses and the stages' status files."""
        return self.home / "run"

    @property
    def stack_file(self) -> Path:
        """The addresses of the running embedded services: {"kafka": "127.0.0.1:9092", ...}."""
        return self.run / "stack.json"

    @property
    def pipeline_password_file(self) -> Path:
        """The random password of the pipeline's own warehouse user, readable by its owner only."""
        return self.run / "pipeline.password"


def _address(settings: Settings, service: str) -> str:
    """Return the address that a running stack wrote down, else the one the port settings give."""
    stack_file = settings.paths().stack_file
    if stack_file.exists():
        addresses: dict[str, str] = json.loads(stack_file.read_text())
        if service in addresses:
            return addresses[service]
    return f"{LOOPBACK}:{getattr(settings, f'{service}_port')}"
