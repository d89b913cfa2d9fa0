"""What `--json` prints has the keys and types of the reference page, and the tables have its columns."""

import json
from pathlib import Path

import pytest

from headrace.cli.json_shapes import ARRAY, LINES, shapes
from headrace.cli.table_pages import stored
from headrace.core.child import wait_until
from headrace.schemas.learner_store import learner_path
from headrace.testing.line import BACKGROUND_SECS, RunningLine
from headrace.testing.shapes import differences

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]
DATASET = "shaped"
LEARNER = "shaped_odd"
YAML = f"""name: {LEARNER}
dataset: {DATASET}
task: anomaly
features: [value]
models: [{{model: robust_z}}]
"""


HEAD = "at,site,value,note\n"
# Arguments by what the reference page calls the command; FILE and OTHER are files of the test's own.
ARGUMENTS = {
    "status --json": ("status",),
    "drop --json": ("drop", "FILE", "--dataset", "shaped_later"),
    "drop --wait --json": ("drop", "FILE", "--dataset", "shaped_copy", "--wait"),
    "files --json": ("files",),
    "quarantine list --json": ("quarantine", "list", DATASET),
    "quarantine show --json": ("quarantine", "show", DATASET),
    "alerts --json": ("alerts",),
    "alerts silences --json": ("alerts", "silences"),
    "profile --json": ("profile", DATASET, "--last", "P1D"),
    "advice --json": ("advice", DATASET),
    "check --json": ("check", DATASET),
    "trace --json": ("trace", f"{DATASET}/first.csv:3"),
    "logs --json": ("logs", "--stage", "judge"),
    "learn status --json": ("learn", "status"),
    "learn models --json": ("learn", "models", LEARNER),
    "learn show --json": ("learn", "show", LEARNER),
    "contract lint --json": ("contract", "lint", "CONTRACT", "BAD_CONTRACT"),
    "contract diff --json": ("contract", "diff", "CONTRACT", "OTHER_CONTRACT"),
    "contract show --json": ("contract", "show", DATASET),
}


@pytest.fixture(scope="module")
def shaped(line: RunningLine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two files came: the second closed the windows of the first, and brought rows that were put aside."""
    folder = tmp_path_factory.mktemp("shaped")
    files = {name: str(folder / f"{name.lower()}.csv") for name in ("FIRST", "SECOND", "FILE")}
    first = HEAD + "".join(reading(hour, row) for hour in range(6) for row in range(120))
    rest = HEAD + "".join(reading(hour, row) for hour in range(48, 60) for row in range(60)) + "x,y\n" * 99
    for name, text in zip(files, (first, rest, HEAD + reading(1, 1)), strict=True):
        Path(files[name]).write_text(text)
    learner = learner_path(line.settings.paths(), LEARNER)
    learner.parent.mkdir(exist_ok=True)
    learner.write_text(YAML)
    line.headrace("drop", files["FIRST"], "--dataset", DATASET, "--wait")
    line.headrace("drop", files["SECOND"], "--dataset", DATASET, "--wait")
    line.headrace("alerts", "silence", "some_rule", "--dataset", DATASET, "--for", "1h", "--why", "a test")
    closed = f"SELECT count() > 4 FROM headrace.windows WHERE dataset = '{DATASET}'"
    assert wait_until(lambda: line.value(closed) == "1", 60)
    assert wait_until(lambda: bool(line.headrace("alerts", "--dataset", DATASET, "--json").stdout), 60, every_secs=0.5)
    advised = f"SELECT count() > 0 FROM headrace.advice WHERE dataset = '{DATASET}'"
    assert wait_until(lambda: line.value(advised) == "1", BACKGROUND_SECS, every_secs=0.5)
    told = f"SELECT count() > 0 FROM headrace.model_metrics WHERE learner = '{LEARNER}'"
    assert wait_until(lambda: line.value(told) == "1", 60, every_secs=0.5)
    contract = Path(line.settings.paths().contracts / f"{DATASET}.odcs.yaml")
    changed = {
        "OTHER_CONTRACT": ("name: note", "name: remark"),
        "BAD_CONTRACT": ("apiVersion: v3.1.0", "apiVersion: v1"),
    }
    for name, (before, after) in changed.items():
        files[name] = str(folder / f"{name.lower()}.odcs.yaml")
        Path(files[name]).write_text(contract.read_text().replace(before, after))
    return files | {"CONTRACT": str(contract)}


def reading(hour: int, row: int) -> str:
    site = ("north", "south", "west")[row % 3]
    moment = f"2026-01-{1 + hour // 24:02}T{hour % 24:02}:{row % 60:02}:00Z"
    return f"{moment},{site},{row * 1.5},{'' if site == 'west' else 'ok'}\n"


@pytest.mark.parametrize("called", sorted(shapes()))
def test_json_has_exactly_the_keys_and_types_that_the_reference_page_tells(
    line: RunningLine, shaped: dict[str, str], called: str
) -> None:
    arguments = [shaped.get(part, part) for part in ARGUMENTS[called]]
    printed = line.headrace(*arguments, "--json", check=False)
    count, shape = shapes()[called]
    texts = printed.stdout.splitlines() if count == LINES else [printed.stdout]
    found = [one for text in texts for one in (json.loads(text) if count == ARRAY else [json.loads(text)])]
    assert found, printed.stderr
    assert [text for one in found for text in differences(one, shape)] == []


def test_tables_of_the_warehouse_have_the_columns_that_the_reference_page_tells(line: RunningLine) -> None:
    for table in stored().values():
        query = (
            f"SELECT name FROM system.columns WHERE database = 'headrace' AND table = '{table.name}' ORDER BY position"
        )
        names = [name for name in line.column(query) if "." not in name]
        nested = {column.name for column in table.columns if column.type.startswith("Nested(")}
        assert names, table.name
        if not table.query:
            assert names == [column.name for column in table.columns if column.name not in nested]
