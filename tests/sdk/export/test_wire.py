"""The hand-written protobuf encoding, read back by opentelemetry-proto."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from otlp_sink import plain, plain_attributes

from shopscope._export import _wire as wire
from shopscope._redaction._privacy import is_card_number, is_secret, scrub

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1).filter(lambda number: not is_card_number(number))
    | st.floats(allow_nan=False).filter(lambda number: not is_card_number(number))
    | st.binary(max_size=40)
)
# Secrets do not arrive as they were: test_privacy.py.
_TEXT = st.text(st.characters(codec="utf-8"), max_size=300).filter(lambda text: scrub(text) == text)
_KEYS = _TEXT.filter(lambda text: not is_secret(text))
_VALUES = st.recursive(
    _SCALARS | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


def decoded(value):
    return plain(AnyValue.FromString(wire.any_value(value)))


@given(st.dictionaries(_KEYS, _VALUES, max_size=8))
def test_attributes_arrive_as_they_were(attributes):
    """Every value that OTLP has a type for is the same at the other end, nested or not."""
    encoded = wire.attributes(wire.tag(3, wire.LENGTH_DELIMITED), attributes)
    assert attributes == plain_attributes(InstrumentationScope.FromString(encoded).attributes)


@given(st.integers(0, 2**64 - 1))
def test_varint_is_groups_of_seven_bits(number):
    """A varint read group by group is the number."""
    encoded = wire.varint(number)
    assert number == sum((byte & 127) << (7 * place) for place, byte in enumerate(encoded))
    assert [byte > 127 for byte in encoded] == [True] * (len(encoded) - 1) + [False]


@given(st.integers(-(2**63), -1))
def test_negative_varint_is_twos_complement(number):
    """A negative number takes ten bytes, as the format says of int64."""
    assert number == decoded(number)
    assert 10 == len(wire.varint(number))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**63, str(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        ("a\ud800b", "a?b"),
        ({"\udcff": "\udcff"}, {"?": "?"}),
        ({1: "x", None: "y"}, {"1": "x", "None": "y"}),
        (1 + 2j, "(1+2j)"),
        (bytearray(b"ab"), [97, 98]),
        (("a", 1), ["a", 1]),
        ("", ""),
        ([], []),
        ({}, {}),
    ],
)
def test_what_otlp_has_no_type_for_becomes_text(value, expected):
    """Huge integers, lone surrogates, odd keys and foreign types do not break the message."""
    assert expected == decoded(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_special_floats_arrive(value):
    """NaN and infinities are doubles like any other."""
    assert repr(value) == repr(decoded(value))


class Unprintable:
    """A value without a text."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize("value", [Unprintable(), 10**5000], ids=["raises", "too long"])
def test_value_without_text_becomes_its_type(value):
    """A value whose ``str`` raises (also an integer of too many digits) is encoded as its type's name."""
    assert f"<unprintable {type(value).__name__}>" == decoded(value)


def test_key_of_any_kind_is_text():
    """A key that is no string does not cost the span its other attributes."""
    encoded = wire.attributes(wire.tag(3, wire.LENGTH_DELIMITED), {5: "five", "six": 6})
    assert {"5": "five", "six": 6} == plain_attributes(InstrumentationScope.FromString(encoded).attributes)


def test_endless_nesting_ends():
    """A value that contains itself is cut off and still a valid message."""
    endless = {}
    endless["again"] = endless
    depth, value = 0, decoded(endless)
    while isinstance(value, dict):
        depth, value = depth + 1, value["again"]
    assert (16, str) == (depth, type(value))


def test_many_keys_do_not_fill_memory():
    """Keys made from data are encoded each time once the cache is full."""
    for number in range(5000):
        wire.attributes(b"\x0a", {f"key-{number}": 1})
    assert len(wire._encoded_keys) <= wire._ENCODED_KEYS_LIMIT
    encoded = wire.attributes(wire.tag(3, wire.LENGTH_DELIMITED), {"key-4999": 1})
    assert {"key-4999": 1} == plain_attributes(InstrumentationScope.FromString(encoded).attributes)
