"""headrace contract: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from headrace.cli import headrace, main
from headrace.errors import ContractInvalid
from headrace.schemas.contract import parse_contract
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.registry import Registry

CSV = "Order ID,price,day\n1,1.50,2024-01-31\n2,NA,2024-02-01\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(headrace, ["contract", *arguments])


def flights() -> str:
    text = shipped_contract("flights")
    assert text is not None
    return text


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_infer_prints_a_contract_of_the_file(tmp_path: Path) -> None:
    result = run("infer", write(tmp_path / "My Orders.csv", CSV))
    contract = parse_contract(result.stdout)
    assert contract.dataset == "my_orders"
    assert [(field.name, field.type.type) for field in contract.fields] == [
        ("order_id", "long"),
        ("price", "double"),
        ("day", "date"),
    ]
    assert contract.fields[1].null_values == ("NA",)


def test_infer_writes_a_file_and_never_over_one(tmp_path: Path) -> None:
    source, target = write(tmp_path / "a.csv", CSV), tmp_path / "orders.odcs.yaml"
    assert run("infer", source, "--dataset", "orders", "--output", str(target)).exit_code == 0
    assert parse_contract(target.read_text(encoding="utf-8")).dataset == "orders"
    again = run("infer", source, "--dataset", "orders", "--output", str(target))
    assert "is there already" in str(again.exception)


def test_infer_refuses_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["headrace", "contract", "infer", write(tmp_path / "empty.csv", "")])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "empty_file" in capsys.readouterr().err


def test_infer_refuses_a_name_that_is_no_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "a.csv", CSV)
    monkeypatch.setattr("sys.argv", ["headrace", "contract", "infer", source, "--dataset", "Quality"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "next:" in capsys.readouterr().err


def test_lint_accepts_a_sound_contract_and_tells_what_is_not_checked(tmp_path: Path) -> None:
    text = (shipped_contract("planes") or "") + "slaProperties: [{property: retention, value: 1, unit: y}]\n"
    result = run("lint", write(tmp_path / "planes.odcs.yaml", text))
    assert result.exit_code == 0
    assert "sound, dataset planes, 9 fields" in result.stdout
    assert "not checked: slaProperties: retention 1y" in result.stdout


def test_lint_tells_every_problem_of_every_file_and_ends_with_1(tmp_path: Path) -> None:
    good = write(tmp_path / "good.yaml", flights())
    bad = write(
        tmp_path / "bad.yaml", flights().replace("maximum: 12}", "maximun: 12}").replace("kind: Data", "kind: Dat")
    )
    result = run("lint", good, bad)
    assert result.exit_code == 1
    assert f"{good}: sound" in result.stdout
    lines = result.stdout.split(f"{bad}: cannot be followed\n")[1].splitlines()
    assert len(lines) == 2
    assert lines[0].strip().startswith("line 4: kind: not allowed")
    assert 'did you mean "maximum"?' in lines[1]


@pytest.mark.parametrize("key", ["minimum: 0", "maximum: 9", "pattern: '[A-Z]+'", "maxLength: 3", "format: date"])
def test_lint_says_where_an_option_of_the_type_belongs(tmp_path: Path, key: str) -> None:
    wrong = f"      - name: minute\n        {key}\n"
    result = run("lint", write(tmp_path / "bad.yaml", flights().replace("      - name: minute\n", wrong)))
    name = key.partition(":")[0]
    told = f"schema[flights].properties[minute].{name}: unknown key"
    (line,) = result.stdout.splitlines()[1:]
    assert told in line
    assert line.endswith(f"it belongs under logicalTypeOptions, e.g. logicalTypeOptions: {{{name}: ...}}")


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("        minimun: 0", 'did you mean "minimum"? it belongs under logicalTypeOptions'),
        ("        mustBe: 0", "it belongs under an entry of quality with a metric"),
        ("        tenant: x", "it belongs at the top of the document"),
        ("        zzzzzz: x", "remove it"),
    ],
)
def test_lint_says_what_to_do_with_a_key_at_a_wrong_place(tmp_path: Path, wrong: str, hint: str) -> None:
    text = flights().replace("      - name: minute\n", f"      - name: minute\n{wrong}\n")
    assert f"; {hint}" in run("lint", write(tmp_path / "bad.yaml", text)).stdout


def test_a_contract_that_cannot_be_followed_names_its_file_in_the_next_action(home: Path) -> None:
    (home / "contracts").mkdir(parents=True)
    path = home / "contracts" / "airlines.odcs.yaml"
    write(path, "a: 1")
    shown = run("show", "airlines")
    assert isinstance(shown.exception, ContractInvalid)
    assert shown.exception.hint == f"correct it, then: headrace contract lint {path}"


def test_lint_gives_json(tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.yaml", "a: 1")
    good = write(tmp_path / "good.yaml", flights())
    first, second = (json.loads(line) for line in run("lint", bad, good, "--json").stdout.splitlines())
    assert first["problems"]
    assert second["problems"] == []
    assert second["tolerance"] == 0.005
    assert {"id": "month.range", "code": "out_of_range", "severity": "critical", "fields": ["month"]} | {
        "parameters": {"minimum": 1, "maximum": 12}
    } in second["rules"]


def test_lint_refuses_text_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: \xff")
    result = run("lint", str(tmp_path / "x.yaml"))
    assert result.exit_code == 1
    assert "not UTF-8" in result.stdout


def test_diff_of_equal_contracts_says_so(tmp_path: Path) -> None:
    old = write(tmp_path / "a.yaml", flights())
    result = run("diff", old, write(tmp_path / "b.yaml", flights() + "\n# a remark\n"))
    assert (result.exit_code, result.stdout) == (0, "the contracts say the same\n")


@pytest.mark.parametrize(
    ("before", "after", "told", "breaks"),
    [
        ("maximum: 12}", "maximum: 13}", "rule month.range was", False),
        ("      - name: minute\n", "      - name: minutes\n", "field minute is gone", True),
        ("      - name: minute\n", "      - name: minutes\n", "field minutes is new, long", True),
        ("Tail number", "Number", "the contracts say the same", False),
        (
            "knownAtPrediction, value: true",
            "knownAtPrediction, value: false",
            'field distance is known at prediction: "no", before "yes"',
            False,
        ),
        ("value: 0.005", "value: 0.5", "tolerance was '0.005', is '0.5'", False),
        ("logicalTypeOptions: {minimum: 1, maximum: 9999}", "physicalType: int", "field flight was long, is int", True),
    ],
)
def test_diff_tells_changes_and_ends_with_1_if_one_breaks(
    tmp_path: Path, before: str, after: str, told: str, breaks: bool
) -> None:
    text = flights()
    if "minute" in before:
        text = text.replace("hour * 100 + minute", "hour * 100")
    assert before in text
    result = run("diff", write(tmp_path / "a.yaml", text), write(tmp_path / "b.yaml", text.replace(before, after)))
    assert told in result.stdout
    assert result.exit_code == int(breaks)
    assert ("BREAKS" in result.stdout) == breaks


@pytest.mark.parametrize(("old", "new", "note"), [(4, 2, ": no effect, partitions are only ever raised"), (2, 4, "")])
def test_diff_says_that_fewer_partitions_have_no_effect(tmp_path: Path, old: int, new: int, note: str) -> None:
    tolerance = "  - {property: headrace.tolerance, value: 0.005}\n"
    text = flights()
    assert tolerance in text
    before, after = (
        write(
            tmp_path / f"{count}.yaml",
            text.replace(tolerance, f"{tolerance}  - {{property: headrace.partitions, value: {count}}}\n"),
        )
        for count in (old, new)
    )
    result = run("diff", before, after)
    assert (result.exit_code, result.stdout) == (0, f"partitions was '{old}', is '{new}'{note}\n")


def test_show_prefers_the_contract_of_the_home(home: Path) -> None:
    assert "comes with headrace" in run("show", "airlines").stdout
    (home / "contracts").mkdir(parents=True)
    write(home / "contracts" / "airlines.odcs.yaml", (shipped_contract("airlines") or "").replace("1.1.0", "7.0.0"))
    shown = run("show", "airlines").stdout
    assert shown.startswith("airlines 7.0.0+")
    assert "carrier.required: required" in shown
    assert "duplicate_key" in shown
    assert json.loads(run("show", "airlines", "--json").stdout)["version"].startswith("7.0.0+")
    assert parse_contract(run("show", "airlines", "--yaml").stdout).dataset == "airlines"


def test_show_gives_the_lines_that_make_new_columns_law(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = (
        RecordField("unit_price", FieldType.DOUBLE, 'Unit "Price"'),
        RecordField("at", FieldType.TIMESTAMP),
        RecordField("rate", FieldType.DECIMAL, precision=9, scale=2),
        RecordField("no", FieldType.ENUM, symbols=("A", "B")),
    )
    found = parse_contract(shipped_contract("airlines") or "")
    text = RecordSchema("airlines", (*found.record_fields, *extra)).text()
    assert "new columns: not known while the line is down" in run("show", "airlines").stdout
    monkeypatch.setenv("HEADRACE_REGISTRY_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(Registry, "latest", lambda _registry, subject: (1, text) if "airlines.raw" in subject else None)
    *_, action, first, second, third, fourth = run("show", "airlines").stdout.splitlines()
    assert f"{home / 'contracts' / 'airlines.odcs.yaml'}, raise the version" in action
    assert json.loads(run("show", "airlines", "--json").stdout)["new_columns"] == ["unit_price", "at", "rate", "no"]
    lines = "".join(f"    {line}\n" for line in (first, second, third, fourth))
    edited = parse_contract(found.text.rstrip() + "\n" + lines)
    assert edited.record_schema.text() == text


def test_show_says_which_fields_are_known_at_prediction() -> None:
    (line,) = [line for line in run("show", "flights").stdout.splitlines() if line.startswith("known at prediction: ")]
    assert line.endswith("dest, distance, hour, minute, time_hour")
    assert not {"arr_time", "arr_delay", "air_time"} & set(line.replace(",", "").split())
    fields = {
        one["name"]: one["known_at_prediction"] for one in json.loads(run("show", "flights", "--json").stdout)["fields"]
    }
    assert [name for name, known in fields.items() if not known] == ["arr_time", "arr_delay", "air_time"]
    assert "known at prediction" not in run("show", "airlines").stdout


def test_show_says_what_to_do_when_there_is_none() -> None:
    result = run("show", "unheard_of")
    assert result.exit_code == 1
    assert 'dataset "unheard_of" has no contract' in str(result.exception)
