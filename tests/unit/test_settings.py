import pytest

from shared import settings


def test_names_the_variable_that_is_missing(monkeypatch):
    monkeypatch.delenv("INDEX_TABLE", raising=False)

    with pytest.raises(settings.MissingSettingError, match="INDEX_TABLE"):
        settings.index_table()


def test_takes_an_empty_variable_for_a_missing_one(monkeypatch):
    monkeypatch.setenv("PAYLOAD_BUCKET", "")

    with pytest.raises(settings.MissingSettingError, match="PAYLOAD_BUCKET"):
        settings.payload_bucket()


def test_reads_a_variable_when_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("EVENT_BUS", "first")
    assert settings.event_bus() == "first"
    monkeypatch.setenv("EVENT_BUS", "second")
    assert settings.event_bus() == "second"


def test_splits_allowed_origins(monkeypatch):
    monkeypatch.setenv("ALLOWED_ORIGINS", "https://a.example, https://b.example,")

    assert settings.allowed_origins() == ("https://a.example", "https://b.example")


@pytest.mark.parametrize("name", ["downstream_url_template", "token_jwks_url", "access_token_jwks_url"])
@pytest.mark.parametrize("address", ["http://api.example/{host}", "HTTPS://api.example", "//api.example", "ftp://api"])
def test_takes_no_address_but_https_outside_of_the_local_environment(name, address, monkeypatch):
    monkeypatch.setenv(name.upper(), address)
    for environment in ("prod", "dev", "localhost", ""):
        monkeypatch.setenv("ENVIRONMENT", environment)
        with pytest.raises(settings.PlainHttpError):
            getattr(settings, name)()

    monkeypatch.setenv("ENVIRONMENT", "local")
    assert getattr(settings, name)() == address
    monkeypatch.setenv("ENVIRONMENT", "prod")
    monkeypatch.setenv(name.upper(), "https://api.example/{host}")
    assert getattr(settings, name)() == "https://api.example/{host}"
