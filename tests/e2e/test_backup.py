"""A line that is backed up and restored elsewhere: the same rows, receipts, alerts and models, and it goes on."""

import json
from pathlib import Path

import pytest

from headrace.core.child import wait_until
from headrace.runtime.backup import write_backup
from headrace.runtime.home import is_held
from headrace.testing.line import RunningLine

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
DATASET, LEARNER = "kept", "kept_weight"
LEARNED = f"""
name: {LEARNER}
version: "1.0.0"
dataset: {DATASET}
task: regression
target: weight
models: [{{model: linear_regression}}]
"""
CONTRACT = f"""
apiVersion: v3.1.0
kind: DataContract
id: {DATASET}
version: 1.0.0
status: active
schema:
  - name: {DATASET}
    properties:
      - name: length
        logicalType: number
        required: true
        customProperties: [{{property: headrace.knownAtPrediction, value: true}}]
      - name: weight
        logicalType: number
"""
LIMIT_SECS = 90.0
ROWS = "SELECT _file, _row, length, weight FROM headrace.kept ORDER BY _file, _row"
ALERTS = "SELECT alert_id, rule, state, message FROM headrace.alerts ORDER BY alert_id"


def rows(first: int) -> bytes:
    """Return 2,000 rows, of which 200 have no length."""
    numbers = range(first, first + 2_000)
    return b"length,weight\n" + b"".join(b"%s,%d\n" % (b"" if n % 10 == 0 else b"%d" % n, 2 * n) for n in numbers)


def seen(line: RunningLine) -> dict[str, object]:
    """Return what a person would ask the line for."""
    receipts = sorted(json.dumps(receipt, sort_keys=True) for receipt in line.receipts())
    return {"rows": line.value(ROWS), "alerts": line.value(ALERTS), "receipts": receipts}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_line_backed_up_by_stop_comes_back_and_its_copy_is_the_same_line(tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.gz"
    with RunningLine(tmp_path / "home") as line:
        paths = line.settings.paths()
        (paths.contracts / f"{DATASET}.odcs.yaml").write_text(CONTRACT)
        (paths.learners / f"{LEARNER}.yaml").write_text(LEARNED)
        line.drop(DATASET, "one.csv", rows(1))
        line.final_receipts(DATASET, 1)
        assert wait_until(lambda: "rejected_share" in line.value(ALERTS), LIMIT_SECS)
        assert wait_until(lambda: len(list((paths.models / LEARNER).rglob("*"))) > 0, LIMIT_SECS)
        before = seen(line)
        refused = line.headrace("backup", str(archive), check=False)
        assert (refused.returncode, archive.exists()) == (2, False)
        assert "headrace down, or --stop" in refused.stderr
        assert line.stop() == 0
    done = write_backup(line.settings, archive)
    assert done.passed_over == []
    password = paths.pipeline_password_file.read_bytes()
    came = RunningLine(tmp_path / "other")
    came.headrace("restore", str(archive))
    with came:
        assert wait_until(lambda: seen(came) == before, LIMIT_SECS), (before, seen(came))
        assert came.settings.paths().pipeline_password_file.read_bytes() != password
        models, restored = contents(paths.models), contents(came.settings.paths().models)
        assert {name.partition("/")[0] for name in models} == {LEARNER}
        assert models.items() <= restored.items()
        came.drop(DATASET, "again.csv", rows(1))
        came.drop(DATASET, "two.csv", rows(10_001))
        states = {receipt["file"]: receipt["state"] for receipt in came.final_receipts(DATASET, 3)}
        assert states == {"one.csv": "balanced", "again.csv": "skipped", "two.csv": "balanced"}
        assert came.value("SELECT count(), uniqExact(_file, _row) FROM headrace.kept") == "3600\t3600"
        second = came.process("backup", str(tmp_path / "second.tar.gz"), "--stop")
        assert "the line is up again" in second.stdout
        try:
            assert came.value("SELECT count() FROM headrace.kept") == "3600"
        finally:
            came.process("down")
        assert not is_held(came.settings.paths())
