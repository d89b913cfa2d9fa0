"""The guide to learners tells the truth: its examples are learners, and no key of the file is missing."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.learner_document import Document
from headrace.schemas.learner_file import parse_learner
from headrace.schemas.learner_spec import FIELD_FIGURES, OPPONENTS, WINDOW_FIGURES, LearnerSpec, Promotion, Task
from headrace.schemas.learner_store import shipped_learners
from headrace.testing.model_kinds import forget_kinds, install_kinds

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guide/learners.md").read_text(encoding="utf-8")
LEARNERS = [block for block in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL) if block.startswith("name: ")]
HEAD = "apiVersion: v3.1.0\nkind: DataContract\nid: d\nversion: '1'\nstatus: active\n"
KNOWN = "customProperties: [{property: headrace.knownAtPrediction, value: true}]"
CONTRACTS = {
    "parcels": f"""{HEAD}schema:
  - name: parcels
    properties:
      - {{name: parcel, logicalType: string}}
      - {{name: weight, logicalType: number, {KNOWN}}}
      - {{name: country, logicalType: string, {KNOWN}}}
      - {{name: carrier, logicalType: string, {KNOWN}}}
      - {{name: sent_at, logicalType: timestamp, {KNOWN}}}
""",
    "deliveries": f"""{HEAD}schema:
  - name: deliveries
    properties: [{{name: parcel_id, logicalType: string}}, {{name: days, logicalType: integer}}]
""",
}


@pytest.fixture(autouse=True)
def kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the kinds that this tree's pyproject names, whether or not the tree is what is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    monkeypatch.syspath_prepend(str(tmp_path))
    install_kinds(tmp_path, project["entry-points"]["headrace.models"])
    yield
    monkeypatch.undo()
    forget_kinds()


def contracts(dataset: str) -> Contract | None:
    return parse_contract(CONTRACTS[dataset], dataset)


def learner(text: str) -> LearnerSpec:
    return parse_learner(text, contracts)


def test_learners_of_the_guide_can_be_followed() -> None:
    assert [learner(text).task for text in LEARNERS] == [Task.CLASSIFICATION, Task.FORECAST]


def test_whole_learner_shows_the_defaults() -> None:
    found = learner(LEARNERS[0])
    default = LearnerSpec("n", "d", Task.REGRESSION, "v", "t", ())
    for name in ("rows_per_second", "over", "explain", "snapshot_rows", "seed", "promotion"):
        assert getattr(found, name) == getattr(default, name), name
    assert found.promotion == Promotion()
    assert found.late is not None
    assert (found.late.most, found.late.wait_secs) == (100_000, 14 * 86_400)


def test_guide_names_every_key_task_figure_dummy_and_shipped_learner() -> None:
    keys = {field.alias or name for name, field in Document.model_fields.items()}
    shown = {key for text in LEARNERS for key in yaml.safe_load(text)}
    assert keys - shown == {"target", "threshold"}
    words = (*keys - shown, *Task, *WINDOW_FIGURES, *FIELD_FIGURES, *OPPONENTS)
    assert [word for word in words if f"`{word}`" not in GUIDE and f"{word}" not in LEARNERS[1]] == []
    assert [name for name in shipped_learners() if f"| `{name}.yaml` |" not in GUIDE] == []
