"""How the quality app reaches Kafka: headrace's settings as Faust takes them."""

import ssl
from pathlib import Path
from typing import Any

import faust
import pytest

from headrace.errors import WrongUse
from headrace.settings import Settings
from headrace.stream_processors.quality_app import app_settings


def credentials(protocol: str, **more: str) -> Any:
    given = {"home": Path("/nowhere"), "kafka_security_protocol": protocol, **more}
    return app_settings(Settings.model_validate(given))["broker_credentials"]


def test_every_broker_of_the_list_is_one_of_fausts() -> None:
    settings = Settings(home=Path("/nowhere"), kafka_bootstrap="a:9092, b:9093")
    found = app_settings(settings)
    assert (found["broker"], found["broker_credentials"]) == ("kafka://a:9092;kafka://b:9093", None)


def test_ssl_without_a_login_checks_the_brokers_certificate() -> None:
    found = credentials("SSL")
    assert isinstance(found, faust.SSLCredentials)
    assert found.context.verify_mode is ssl.CERT_REQUIRED
    assert found.context.check_hostname


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_login_goes_over_with_its_mechanism(protocol: str, mechanism: str) -> None:
    login = {"kafka_sasl_username": "me", "kafka_sasl_password": "secret"}
    found = credentials(protocol, kafka_sasl_mechanism=mechanism, **login)
    assert isinstance(found, faust.SASLCredentials)
    assert (found.username, found.password, found.mechanism.value) == ("me", "secret", mechanism)
    assert (found.ssl_context is not None) == (protocol == "SASL_SSL")
    assert found.protocol.value == protocol


@pytest.mark.parametrize("mechanism", ["GSSAPI", "OAUTHBEARER", ""])
def test_login_that_faust_cannot_do_is_refused_by_name(mechanism: str) -> None:
    with pytest.raises(WrongUse, match=f'HEADRACE_KAFKA_SASL_MECHANISM is "{mechanism}"') as caught:
        credentials("SASL_SSL", kafka_sasl_mechanism=mechanism)
    assert caught.value.hint == "set it to one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"
