"""headrace check: the contract in force holds on what is stored, and a stricter one says where it would not."""

import json
from pathlib import Path

import pytest

from headrace.testing.line import RunningLine

pytestmark = pytest.mark.stack

TOWNS = "name,inhabitants,note\n" + "".join(f"town {n},{n * 100},{'x' if n % 4 else ''}\n" for n in range(1, 41))


def test_check_tells_what_a_contract_would_say_of_the_stored_rows(line: RunningLine, tmp_path: Path) -> None:
    file = tmp_path / "towns.csv"
    file.write_text(TOWNS)
    line.headrace("drop", str(file), "--dataset", "towns", "--wait")
    held = line.headrace("check", "towns")
    assert "40 rows" in held.stdout
    contract = (line.settings.paths().contracts / "towns.odcs.yaml").read_text()
    stricter = tmp_path / "stricter.odcs.yaml"
    stricter.write_text(
        contract.replace(
            "mustBeLessOrEqualTo: 38, unit: percent, severity: info",
            "mustBeLessOrEqualTo: 10, unit: percent, severity: error",
        )
    )
    broken = line.headrace("check", "towns", "--contract", str(stricter), check=False)
    assert broken.returncode == 1, broken.stderr
    assert "note.null_rate [critical]" in broken.stdout
    assert "10 of 40 have no note" in broken.stdout
    told = json.loads(line.headrace("check", "towns", "--contract", str(stricter), "--json", check=False).stdout)
    assert told["failed_critical"] == ["note.null_rate"]
    (window,) = told["windows"]
    assert {one["basis"] for one in window["verdicts"]} == {"rows"}
    by_file = line.headrace("check", "towns", "--clock", "file")
    assert "1 file, 40 rows" in by_file.stdout
    other = line.headrace("check", "cities", "--contract", str(stricter), check=False)
    assert other.returncode != 0
    damaged = tmp_path / "damaged.csv"
    damaged.write_text("name,inhabitants,note\ntown 41,4100,x\n" + "a,b,c,d\n" * 2)
    line.headrace("drop", str(damaged), "--dataset", "towns", "--wait", check=False)
    told = line.headrace("check", "towns").stdout
    assert "41 rows" in told
    assert "beside them 2 rows that no reader could read" in told
