"""The collector's files are what the code and shopscope.toml say, and a change of either is seen."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from shopscope import ConfigError
from shopscope._redaction import _patterns as sdk
from shopscope.config import load_shop, parse_shop
from shopscope_ops.collector import DerivationError, _patterns, generated
from shopscope_ops.reference._attribute_table import ATTRIBUTES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "collector"
PIPELINES = ("traces", "metrics", "logs")
# Of the SDK's patterns, what the collector has in another form: in one expression with others, or as part of them.
DERIVED = {"_PRIVATE_KEY", "_PARAMETERS", "_HEADER", "_SCHEME", "_JWT", "_API_KEY", "_KEY_AND_VALUE", "_BASIC"}
DERIVED |= {"_EMAIL", "_USER_INFO", "_DIGITS", "_EXPONENT", "_IBAN_START", "_ISSUER"}
HELPERS = {"_GROUP", "_NOT_ALPHANUMERIC"}


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(FOLDER, tmp_path / "collector"))


def configuration(name):
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def test_files_are_as_generated():
    """There is nothing to generate anew."""
    files = list(generated(FOLDER, load_shop(ROOT / "shopscope.toml")))
    assert ["agent.yaml", "gateway-sample.yaml"] == [path.name for path, _ in files]
    assert [text for _, text in files] == [path.read_text(encoding="utf-8") for path, _ in files]


def test_another_threshold_changes_the_sampler(folder):
    """A journey that is faster, and one that is new."""
    head = {"service": "storefront", "objective": 0.9}
    journeys = {
        "checkout": {"routes": ["POST /checkout"], "latency": "750ms", **head},
        "refund": {"routes": ["POST /refund"], "latency": "1s", **head},
    }
    before = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}
    after = {path.name: text for path, text in generated(folder, parse_shop({"journeys": journeys}))}
    assert ["gateway-sample.yaml"] == [name for name, text in after.items() if before[name] != text]
    text = after["gateway-sample.yaml"]
    assert (1, 1, 0) == (text.count("> 750000000 "), text.count("> 1000000000 "), text.count("search"))


def test_a_file_without_marks(folder):
    """It is named."""
    (folder / "agent.yaml").write_text("processors:\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"agent\.yaml must have the lines '# >>> generated"):
        list(generated(folder, load_shop(ROOT / "shopscope.toml")))


def test_every_pattern_of_the_sdk_is_derived():
    """A pattern that the SDK learns has to be derived for the collector too."""
    found = {name for name, value in vars(sdk).items() if isinstance(value, sdk._Later)}
    assert DERIVED | HELPERS == found
    assert {"_PRIVATE_KEY", "_PARAMETERS", "_HEADER", "_SCHEME", "_JWT", "_API_KEY", "_KEY_AND_VALUE"} == {
        name for name in found if any(getattr(sdk, name) is pattern for pattern, _ in sdk._AFTER_WORDS)
    }


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("_API_KEY", "(?<![0-9])new_[a-z]+"),
        ("_JWT", "(?<!a)eyJ.*"),
        ("_EMAIL", ".+@.+"),
        ("_ISSUER", "[3-7]"),
        ("_HEADER", "(x-key)"),
        ("_KEY_AND_VALUE", "(token)"),
    ],
)
def test_a_changed_pattern_is_an_error(monkeypatch, name, source):
    """It does not become another pattern unseen."""
    monkeypatch.setattr(sdk, name, sdk._Later(source, re.IGNORECASE))
    with pytest.raises(DerivationError, match=f"^{name} must .*; derive the"):
        _patterns.value_patterns()


def test_every_issuer_is_known():
    """First digits of cards that the SDK knows are first digits here."""
    (cards,) = (one for one in _patterns.value_patterns() if "[eE]" in one)
    # Of the classes RE2 alone knows, none matters for digits.
    python = re.compile(
        re.sub(r"\\x\{([0-9a-f]+)\}", lambda match: chr(int(match[1], 16)), cards).replace(r"\p{Nd}", r"\d")
    )
    starts = [f"{number:04}" for number in range(10_000) if sdk._ISSUER.now.match(f"{number:04}")]
    assert len(starts) > 4000
    assert [] == [start for start in starts if not python.search(f"{start}123456789")]


def test_keys_that_are_left_aside():
    """They are keys that the SDK documents; none is a secret's."""
    ignored = configuration("agent.yaml")["processors"]["redaction/keys"]["ignored_keys"]
    assert set(ignored) <= {row.key for row in ATTRIBUTES}
    assert [] == [key for key in ignored if sdk.SECRET_KEY.search(key)]


def test_pipelines():
    """The limit of memory comes first, redaction before anything leaves, and nothing is ever given up."""
    agent = configuration("agent.yaml")
    hiding = ["memory_limiter", "transform/texts", "redaction/keys", "redaction/values", "transform/ends"]
    assert [hiding] * 3 == [agent["service"]["pipelines"][name]["processors"] for name in PIPELINES]
    for name in ("transform/texts", "transform/ends"):
        assert "propagate" == agent["processors"][name]["error_mode"]
    for exporter in agent["exporters"].values():
        queue = exporter["sending_queue"]
        assert ("0s", "file_storage", "items") == (
            exporter["retry_on_failure"]["max_elapsed_time"],
            queue["storage"],
            queue["sizer"],
        )
