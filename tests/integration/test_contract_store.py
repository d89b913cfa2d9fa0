"""The contract store: the home is the law of today, system.contracts every law there was."""

import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from headrace.errors import ContractInvalid
from headrace.schemas.contract_store import ContractStore, shipped_contract
from headrace.schemas.infer import Sample, draft_contract
from headrace.schemas.registry import Registry
from headrace.schemas.topics import CONTRACTS
from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.transport.kafka import CompactedTopic

pytestmark = pytest.mark.stack
SAMPLE = Sample(("id", "Name"), pl.DataFrame({"c0": ["1"], "c1": ["x"]}))


@pytest.fixture
def settings(stack: EmbeddedStack, tmp_path: Path) -> Settings:
    """Return settings with the stack's services and a home of the test's own."""
    found = stack.settings
    return found.model_copy(
        update={
            "home": tmp_path,
            "kafka_bootstrap": found.kafka_client()["bootstrap.servers"],
            "registry_url": found.registry_address(),
        }
    )


@pytest.fixture
def registry(settings: Settings) -> Iterator[Registry]:
    found = Registry(settings)
    yield found
    found.close()


@pytest.fixture
def store(settings: Settings, registry: Registry) -> Iterator[ContractStore]:
    found = ContractStore(settings, settings.kafka_client(), registry)
    yield found
    found.close()


def test_dataset_that_nobody_knows_has_no_contract(store: ContractStore) -> None:
    assert store.current("store_unknown") is None
    assert store.by_version("store_unknown", "1+00000000") is None


def test_shipped_contract_becomes_the_law_of_the_home(store: ContractStore, settings: Settings) -> None:
    contract = store.current("airlines")
    assert contract is not None
    path = settings.paths().contracts / "airlines.odcs.yaml"
    assert path.read_text(encoding="utf-8") == contract.text == shipped_contract("airlines")
    path.write_text(contract.text.replace('"1.0.0"', '"1.1.0"'), encoding="utf-8")
    edited = store.current("airlines")
    assert edited is not None
    assert edited.version.startswith("1.1.0+")


def test_draft_never_replaces_a_contract_that_is_there(store: ContractStore) -> None:
    draft = draft_contract("store_draft", SAMPLE)
    assert store.save_draft(draft) == draft
    other = draft_contract("store_draft", Sample(("other",), pl.DataFrame({"c0": ["1"]})))
    assert store.save_draft(other) == draft
    assert store.current("store_draft") == draft


def test_recorded_version_is_found_by_everyone_and_stands_once(
    settings: Settings, registry: Registry, store: ContractStore
) -> None:
    draft = draft_contract("store_recorded", SAMPLE)
    store.record(draft)
    store.record(draft)
    client = settings.kafka_client()
    other = ContractStore(settings, client, registry)
    other.record(draft)
    assert other.by_version("store_recorded", draft.version) == draft
    assert other.by_version("store_recorded", "9+00000000") is None
    topic = CompactedTopic(client, CONTRACTS)
    keys = [key for key in topic.refresh() if key.startswith("store_recorded/")]
    assert keys == [f"store_recorded/{draft.version}"]
    topic.close()
    other.close()


def test_contract_that_cannot_be_followed_is_refused_by_name(store: ContractStore, settings: Settings) -> None:
    path = settings.paths().contracts / "store_bad.odcs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("kind: DataContract", encoding="utf-8")
    with pytest.raises(ContractInvalid, match=r"contract store_bad\.odcs\.yaml: .*apiVersion"):
        store.current("store_bad")


def test_contract_that_is_being_saved_is_waited_for(store: ContractStore, settings: Settings) -> None:
    draft = draft_contract("store_saving", SAMPLE)
    path = settings.paths().contracts / "store_saving.odcs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(draft.text[:700], encoding="utf-8")
    editor = threading.Timer(0.2, path.write_text, [draft.text], {"encoding": "utf-8"})
    editor.start()
    assert store.current("store_saving") == draft
    editor.join()


def test_contract_of_another_dataset_is_refused(store: ContractStore, settings: Settings) -> None:
    path = settings.paths().contracts / "store_other.odcs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(shipped_contract("airlines") or "", encoding="utf-8")
    with pytest.raises(ContractInvalid, match='its schema is named "airlines"'):
        store.current("store_other")
