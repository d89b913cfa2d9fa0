"""Where learners are kept: the shipped ones come once, edits hold at once, one that is wrong stops no other."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.embedded.services import prepare_home
from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.contract_store import shipped_contract
from headrace.schemas.learner_store import LearnerStore, learner_path, shipped_learners
from headrace.settings import Paths
from headrace.testing.model_kinds import forget_kinds, install_kinds

HEAD = "dataset: flights\nmodels: [{model: line}]\n"
DELAY = f"name: delay\ntask: regression\ntarget: arr_delay\n{HEAD}"
WRITTEN_AT = 1_000_000.0


class Home:
    """A home with its contracts in memory and a clock that is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder)
        self.contracts = {"flights": shipped_contract("flights") or "", "weather": shipped_contract("weather") or ""}
        self.now = WRITTEN_AT + 60
        self.store = LearnerStore(self.paths, self.contract, now=lambda: self.now)

    def contract(self, dataset: str) -> Contract | None:
        text = self.contracts.get(dataset)
        return None if text is None else parse_contract(text, dataset)

    def write(self, name: str, text: str) -> Path:
        path = self.paths.learners / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        os.utime(path, (WRITTEN_AT, WRITTEN_AT))
        return path

    def names(self) -> list[str]:
        return [spec.name for spec in self.store.specs().specs]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    install_kinds(tmp_path / "site")
    yield Home(tmp_path / "home")
    monkeypatch.undo()
    forget_kinds()


def test_a_home_has_a_folder_for_learners_and_one_for_models(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    prepare_home(paths)
    assert paths.learners.is_dir()
    assert paths.models.is_dir()


def test_shipped_learners_come_once_when_their_dataset_is_first_seen(home: Home) -> None:
    assert home.store.specs().specs == ()
    copied = home.store.adopt("flights")
    assert copied == ("flights_delay", "flights_late", "flights_volume")
    assert sorted(path.name for path in home.paths.learners.glob("*.yaml")) == [f"{name}.yaml" for name in copied]
    for name in copied:
        assert learner_path(home.paths, name).read_text(encoding="utf-8") == shipped_learners()[name][1]
    assert home.store.adopt("flights") == ()
    assert home.store.adopt("orders") == ()


def test_an_edited_learner_is_not_written_over_and_a_deleted_one_stays_deleted(home: Home) -> None:
    mine = home.write("flights_late.yaml", DELAY)
    assert home.store.adopt("flights") == ("flights_delay", "flights_volume")
    learner_path(home.paths, "flights_delay").unlink()
    mine.unlink()
    other = LearnerStore(home.paths, home.contract)
    assert other.adopt("flights") == ()
    assert [path.name for path in home.paths.learners.glob("*.yaml")] == ["flights_volume.yaml"]


def test_a_copy_that_was_cut_short_is_made_whole(home: Home) -> None:
    home.store.adopt("flights")
    # Killed after the learner stood there and before it was noted: the learner is not touched.
    (home.paths.learners / ".flights_delay.copied").unlink()
    path = learner_path(home.paths, "flights_delay")
    path.write_text("edited", encoding="utf-8")
    assert home.store.adopt("flights") == ()
    assert path.read_text(encoding="utf-8") == "edited"
    path.unlink()
    assert home.store.adopt("flights") == ()
    assert not [one for one in home.paths.learners.iterdir() if one.name.endswith(".draft")]


def test_one_wrong_file_stops_no_other(home: Home) -> None:
    home.write("delay.yaml", DELAY)
    home.write("early.yaml", DELAY.replace("name: delay", "name: early"))
    home.write("bad.yaml", "name: bad\n")
    home.write("other.yaml", DELAY)
    home.write("late.yml", DELAY)
    home.write("binary.yaml", "").write_bytes(b"\xff\xfe")
    (home.paths.learners / "folder.yaml").mkdir()
    home.write("put_aside.yaml.off", "nothing")
    home.write(".hidden.yaml", "nothing")
    found = home.store.specs()
    assert [spec.name for spec in found.specs] == ["delay", "early"]
    assert found.problems.keys() == {"bad.yaml", "other.yaml", "late.yml", "binary.yaml", "folder.yaml"}
    assert found.problems["bad.yaml"][0] == "line 1: document: dataset is missing; add dataset: ..."
    assert found.problems["other.yaml"] == (
        'name: is "delay", the file other.yaml; rename the file to delay.yaml, or the learner',
    )
    assert found.problems["late.yml"] == ("it is not read: rename it to late.yaml",)
    assert found.problems["binary.yaml"] == ("it is not UTF-8: byte 0",)
    assert found.problems["folder.yaml"] == ("it cannot be read: Is a directory",)


def test_an_edit_holds_at_once_and_a_file_is_parsed_once(home: Home) -> None:
    home.write("delay.yaml", DELAY)
    (before,) = home.store.specs().specs
    (again,) = home.store.specs().specs
    assert again is before
    home.write("delay.yaml", f"{DELAY}seed: 2\n")
    (after,) = home.store.specs().specs
    assert (after.seed, after.version != before.version) == (2, True)
    (home.paths.learners / "delay.yaml").unlink()
    assert home.names() == []


def test_a_learner_is_read_again_when_its_contract_changes(home: Home) -> None:
    home.write("delay.yaml", DELAY)
    home.write("orders.yaml", DELAY.replace("name: delay", "name: orders").replace("flights", "orders"))
    found = home.store.specs()
    assert "tailnum" in found.specs[0].features
    assert "is a dataset without a contract" in found.problems["orders.yaml"][0]
    home.contracts["flights"] = home.contracts["flights"].replace(
        "      - name: tailnum\n", "      - name: tailnum\n        tags: [pii]\n"
    )
    home.contracts["orders"] = home.contracts["flights"].replace("- name: flights", "- name: orders")
    later = home.store.specs()
    assert [spec.name for spec in later.specs] == ["delay", "orders"]
    assert "tailnum" not in later.specs[0].features
    assert later.specs[0].version != found.specs[0].version


def test_a_learner_is_read_again_when_its_contract_was_mended(home: Home) -> None:
    home.write("delay.yaml", DELAY)
    sound = home.contracts["flights"]
    home.contracts["flights"] = "kind: Nothing"
    assert "its contract cannot be followed" in home.store.specs().problems["delay.yaml"][0]
    home.contracts["flights"] = sound
    assert home.names() == ["delay"]
    home.contracts["flights"] = "kind: Nothing"
    assert home.names() == []


def test_a_file_that_is_being_written_leaves_the_learner_as_it_was_for_a_second(home: Home) -> None:
    home.write("delay.yaml", DELAY)
    (before,) = home.store.specs().specs
    home.write("delay.yaml", DELAY[:20])
    home.now = WRITTEN_AT + 0.5
    found = home.store.specs()
    assert (found.specs, found.problems) == ((before,), {})
    home.now = WRITTEN_AT + 1.5
    found = home.store.specs()
    assert (found.specs, list(found.problems)) == ((before,), ["delay.yaml"])


def test_a_file_that_cannot_be_followed_any_more_leaves_its_learner_as_it_was(home: Home) -> None:
    home.write("delay.yaml", DELAY)
    (before,) = home.store.specs().specs
    for wrong in (f"{DELAY}sed: 2\n", "name: nothing\n"):
        home.write("delay.yaml", wrong)
        found = home.store.specs()
        assert (found.specs, list(found.problems)) == ((before,), ["delay.yaml"])
        assert found.goes_on("delay.yaml") == before
        assert home.store.specs() == found
    home.write("delay.yaml", f"{DELAY}seed: 2\n")
    found = home.store.specs()
    assert ([spec.seed for spec in found.specs], found.problems) == ([2], {})


def test_a_learner_goes_on_only_by_the_contract_as_it_is(home: Home) -> None:
    named = f"{DELAY}features: [tailnum, carrier]\n"
    home.write("delay.yaml", named)
    (before,) = home.store.specs().specs
    home.write("delay.yaml", f"{named}sed: 2\n")
    assert home.store.specs().specs == (before,)
    home.contracts["flights"] = home.contracts["flights"].replace(
        "      - name: tailnum\n", "      - name: tailnum\n        tags: [pii]\n"
    )
    found = home.store.specs()
    assert (found.specs, list(found.problems)) == ((), ["delay.yaml"]), "what is personal now is learned no more"


def test_what_a_learner_goes_by_outlives_a_restart_and_is_known_to_others(home: Home) -> None:
    home.write("delay.yaml", DELAY)
    running = LearnerStore(home.paths, home.contract, keep=True)
    (before,) = running.specs().specs
    home.write("delay.yaml", f"{DELAY}sed: 2\n")
    assert home.store.specs().specs == (before,)
    again = LearnerStore(home.paths, home.contract, keep=True)
    assert again.specs().goes_on("delay.yaml") == before
    (home.paths.learners / "delay.yaml").unlink()
    assert again.specs().specs == ()
    home.write("delay.yaml", f"{DELAY}sed: 2\n")
    assert again.specs().specs == (), "a learner that was deleted does not come back by a wrong file"


def test_a_new_file_that_is_wrong_is_told_at_once(home: Home) -> None:
    home.write("delay.yaml", DELAY[:20])
    home.now = WRITTEN_AT
    assert list(home.store.specs().problems) == ["delay.yaml"]
