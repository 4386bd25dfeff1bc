"""What the shop's processes are told."""

from pathlib import Path

import pytest

import shopscope
import shopscope_ops
from shopscope_ops.demo import _shop
from shopscope_ops.demo._ports import DemoPorts
from shopscope_ops.demo._shop import ShopFiles, find_shop, service_programs, shop_environment
from shopscope_ops.engines._processes import ProcessError

PORTS = DemoPorts(base=9000, otlp=9100)
FILES = ShopFiles(Path("/shop"), Path("/shop/shopscope.toml"))


def environment_of(**own):
    database, cache = "postgresql+asyncpg://u:p@127.0.0.1:7001/db", "redis://:p@127.0.0.1:7002/0"
    return shop_environment(FILES, PORTS, database, cache, own)


def test_every_process_learns_where_the_others_are():
    """Addresses follow the port base; telemetry goes to the engine; every local port has a name."""
    told = environment_of()
    assert told["SHOP_CHECKOUT_URL"] == "http://127.0.0.1:9003"
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:9100"
    assert told["SHOPSCOPE_CONFIG"] == "/shop/shopscope.toml"
    peers = dict(peer.split("=") for peer in told["SHOPSCOPE_PEERS"].split(","))
    assert (peers["127.0.0.1:9006"], peers["127.0.0.1:7001"], peers["127.0.0.1:7002"]) == (
        "bank",
        "postgresql",
        "redis",
    )


def test_the_shop_says_which_one_it_is():
    """Boards tell environments and releases apart: the demo's is the release that it came with."""
    told = environment_of(OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=mine")
    expected = f"deployment.environment.name=demo,service.version={shopscope.__version__}"
    assert expected == told["OTEL_RESOURCE_ATTRIBUTES"]


def test_settings_that_the_user_made_for_other_services_stay_out():
    """OTEL_SDK_DISABLED in the user's shell must not make the demo silent; PATH stays."""
    told = environment_of(OTEL_SDK_DISABLED="true", SHOPSCOPE_TRACER="x", SHOP_BANK_ATTEMPTS="9", PATH="/bin")
    assert not {"OTEL_SDK_DISABLED", "SHOPSCOPE_TRACER", "SHOP_BANK_ATTEMPTS"} & told.keys()
    assert told["PATH"] == "/bin"


def test_a_database_elsewhere_keeps_its_host_as_name():
    """Only addresses of this machine need a name."""
    told = shop_environment(FILES, PORTS, "postgresql+asyncpg://db.example/x", "redis://cache.example", {})
    assert "example" not in told["SHOPSCOPE_PEERS"]


def test_the_bank_knows_nothing_of_telemetry():
    """It is an outside party; the five services are not."""
    programs = {program.name: program for program in service_programs(PORTS, environment_of())}
    known = {name for name, program in programs.items() if any(key.startswith("OTEL_") for key in program.environment)}
    assert known == {"storefront", "search", "checkout", "inventory", "payment"}
    assert programs["bank"].environment["SHOP_BANK_URL"] == "http://127.0.0.1:9006"


def test_the_shop_is_found_beside_the_package():
    """In a checkout that is examples/."""
    found = find_shop()
    assert (found.code / "shop" / "storefront.py").is_file()
    assert found.shop_file.name == "shopscope.toml"


def test_the_bundle_of_a_wheel_is_found_first(tmp_path, monkeypatch):
    """An installed wheel brings its own shop."""
    package = tmp_path / "shopscope_ops"
    (package / "bundle" / "shop").mkdir(parents=True)
    (package / "bundle" / "shop" / "storefront.py").touch()
    (package / "bundle" / "shopscope.toml").touch()
    monkeypatch.setattr(shopscope_ops, "__file__", str(package / "__init__.py"))
    assert find_shop() == ShopFiles(package / "bundle", package / "bundle" / "shopscope.toml")


def test_a_missing_shop_is_an_error(tmp_path, monkeypatch):
    """The message names both places."""
    monkeypatch.setattr(_shop.shopscope_ops, "__file__", str(tmp_path / "a" / "shopscope_ops" / "__init__.py"))
    with pytest.raises(ProcessError, match=r"neither in .*bundle nor in .*examples"):
        find_shop()
