"""Settings: wrong ones are one clear error."""

import pytest

from shop.settings import SettingsError, load_settings


def test_defaults_name_the_documented_ports():
    """With nothing set, the services find each other on their usual ports."""
    settings = load_settings(environ={})
    assert (settings.search_url, settings.bank_url) == ("http://127.0.0.1:8602", "http://127.0.0.1:8606")


def test_every_wrong_setting_is_named_at_once():
    """The reader fixes all of them in one go."""
    environ = {"SHOP_DATABASE_URL": "mysql://localhost/x", "SHOP_BANK_ATTEMPTS": "0", "SHOP_SEARCH_RATE_LIMIT": "fast"}
    with pytest.raises(SettingsError) as error:
        load_settings("SHOP_REDIS_URL", environ=environ)
    lines = str(error.value).splitlines()
    example = "should look like postgresql+asyncpg://user:password@host/database"
    assert lines == [
        "The shop's settings are wrong:",
        "  - SHOP_REDIS_URL is required: set it to its URL",
        f"  - SHOP_DATABASE_URL: {example}, but it is 'mysql://localhost/x'",
        "  - SHOP_SEARCH_RATE_LIMIT: should look like 30000/minute, but it is 'fast'",
        "  - SHOP_BANK_ATTEMPTS: Input should be greater than or equal to 1, but it is '0'",
    ]


def test_a_password_in_a_wrong_url_is_not_shown():
    """An error ends in logs; a password does not."""
    with pytest.raises(SettingsError) as error:
        load_settings(environ={"SHOP_DATABASE_URL": "mysql://shop:hunter2@db/x"})
    assert "mysql://***@db/x" in str(error.value)


def test_stale_must_not_be_shorter_than_fresh():
    """A page that is forgotten while it counts as fresh makes no sense."""
    with pytest.raises(SettingsError, match="SHOP_PAGE_STALE_SECONDS must be >= SHOP_PAGE_FRESH_SECONDS"):
        load_settings(environ={"SHOP_PAGE_FRESH_SECONDS": "60", "SHOP_PAGE_STALE_SECONDS": "30"})


def test_an_empty_required_setting_is_missing():
    """``SHOP_REDIS_URL=`` is what a broken script leaves behind."""
    with pytest.raises(SettingsError, match="SHOP_REDIS_URL is required"):
        load_settings("SHOP_REDIS_URL", environ={"SHOP_REDIS_URL": ""})
