"""Ports: what is free, and the one clear line where one is taken."""

import socket
from collections.abc import Iterator
from random import Random

import pytest

from headrace.embedded.ports import PORT_SETTINGS, check_ports, is_free, pick_ports
from headrace.errors import PortTaken, WrongUse
from headrace.settings import LOOPBACK, Settings


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def settings_with(**ports: int) -> Settings:
    return Settings().model_copy(update={**pick_ports(Random(7)), **ports})


def test_port_is_free_when_nobody_listens_and_not_when_somebody_does(taken: int) -> None:
    assert is_free(pick_ports()["kafka_port"])
    assert not is_free(taken)


@pytest.mark.parametrize("setting", PORT_SETTINGS)
def test_taken_port_names_the_port_and_the_setting_to_change(setting: str, taken: int) -> None:
    services = frozenset({"kafka", "registry", "warehouse", "predict"})
    with pytest.raises(PortTaken) as raised:
        check_ports(settings_with(**{setting: taken}), services)
    assert str(taken) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert f"HEADRACE_{setting.upper()}" in raised.value.hint
    assert "--ports auto" in raised.value.hint


def test_taken_port_of_a_service_that_is_not_started_does_not_matter(taken: int) -> None:
    check_ports(settings_with(warehouse_port=taken), frozenset({"kafka"}))


def test_two_settings_with_one_port_are_wrong_use() -> None:
    port = pick_ports()["kafka_port"]
    with pytest.raises(WrongUse, match="HEADRACE_KAFKA_PORT and HEADRACE_REGISTRY_PORT"):
        check_ports(settings_with(kafka_port=port, registry_port=port), frozenset({"kafka", "registry"}))


def test_picked_ports_are_free_and_all_different() -> None:
    ports = pick_ports()
    assert set(ports) == set(PORT_SETTINGS)
    assert len(set(ports.values())) == len(ports)
    assert all(map(is_free, ports.values()))
