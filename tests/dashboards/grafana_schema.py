"""Grafana's own schema, as Grafana Labs generates it for Python: a round trip, and a walk along its type hints.

``from_json`` of that package neither checks types nor reports keys that it does not know, so both is done here.
"""

import enum
import functools
import json
import types
import typing
import warnings

with warnings.catch_warnings():
    # The classic dashboard, which Grafana 13 reads and file provisioning needs; they would rather have the next one.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.cog import plugins, runtime, variants
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common, dashboard, units

plugins.register_default_plugins()

# https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/valueFormats.ts
_OWN_UNITS = ("bool:", "count:", "currency:", "prefix:", "si:", "suffix:", "time:")
#: Every unit that Grafana has by name, besides those that one makes up behind these prefixes.
UNITS = frozenset(typing.get_args(hint)[0] for hint in typing.get_type_hints(units).values())
#: Panels that the package knows no options of.
_WITHOUT_OPTIONS = frozenset({"traces", "row"})


def faults(board):
    """Keys of a board that Grafana does not know, and values whose types are not what it expects."""
    board = board | {"panels": [part for panel in board["panels"] for part in _by_source(panel)]}
    read = dashboard.Dashboard.from_json(board)
    written = json.loads(json.dumps(read, cls=JSONEncoder))
    return [*_lost(board, written, ""), *_walk(read, dashboard.Dashboard, ""), *_strange_panels(board["panels"])]


def _by_source(panel):
    """A panel that asks several data sources as one panel for each: the package reads all targets as of one."""
    if panel.get("panels"):
        panel = panel | {"panels": [part for each in panel["panels"] for part in _by_source(each)]}
    if panel.get("datasource", {}).get("uid") != "-- Mixed --":
        return [panel]
    return [panel | {"datasource": each["datasource"], "targets": [each]} for each in panel["targets"]]


def _lost(ours, theirs, path):
    """Paths of ours that a round trip loses or changes."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key not in theirs:
                yield f"{path}.{key} is lost"
            else:
                yield from _lost(value, theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from _lost(*pair, f"{path}[{index}]")
    elif ours != theirs:
        yield f"{path} is changed from {ours!r} to {theirs!r}"


@functools.cache
def _hints(kind):
    return typing.get_type_hints(kind)


def _walk(value, hint, path):
    """Where a value is not what its type hint says."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _of_union(value, typing.get_args(hint), path)
    if origin is typing.Literal:
        return [] if value in typing.get_args(hint) else [f"{path} must be one of {typing.get_args(hint)}: {value!r}"]
    if origin is list or origin is dict:
        return _of_many(value, origin, typing.get_args(hint)[-1], path)
    if hint is object or hint is typing.Any:
        return _of_object(value, type(value), path) if hasattr(value, "to_json") else []
    return _of_class(value, hint, path)


def _of_union(value, kinds, path):
    if value is None:
        return [] if type(None) in kinds else [f"{path} must not be null"]
    read = [kind for kind in kinds if kind is type(value)]
    tried = [_walk(value, kind, path) for kind in read or kinds if kind is not type(None)]
    return min(tried, key=len)


def _of_many(value, container, kind, path):
    if not isinstance(value, container):
        return [f"{path} must be a {container.__name__}: {value!r}"]
    parts = value.items() if container is dict else enumerate(value)
    return [fault for key, each in parts for fault in _walk(each, kind, f"{path}[{key!r}]")]


def _of_class(value, hint, path):
    if issubclass(hint, enum.Enum):
        return [] if value in {member.value for member in hint} else [f"{path} is no {hint.__name__}: {value!r}"]
    if hint is float:
        return [] if type(value) in (int, float) else [f"{path} must be a number: {value!r}"]
    if hint in (int, str, bool):
        # The package's own defaults are members of enums.
        fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
        return [] if fits else [f"{path} must be {hint.__name__}: {value!r}"]
    if issubclass(hint, variants.Dataquery):
        return _of_object(value, type(value), path)
    return _of_object(value, hint, path)


def _of_object(value, kind, path):
    if isinstance(value, dict):
        if not hasattr(kind, "from_json"):
            return [f"{path} must be {kind.__name__}: {value!r}"]
        read = kind.from_json(value)
        written = json.loads(json.dumps(read, cls=JSONEncoder))
        return [*_lost(value, written, path), *_of_object(read, kind, path)]
    if not isinstance(value, kind):
        return [f"{path} must be {kind.__name__}: {value!r}"]
    return [
        fault for name, hint in _hints(kind).items() for fault in _walk(getattr(value, name), hint, f"{path}.{name}")
    ]


def _strange_panels(panels):
    """Types, units and properties of overrides, which the schema leaves open."""
    for panel in panels:
        yield from _strange_panels(panel.get("panels", ()))
        config = runtime.panelcfg_config(panel["type"])
        if config is None and panel["type"] not in _WITHOUT_OPTIONS:
            yield f"{panel['title']}: Grafana has no panel {panel['type']!r}"
        fields = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
        properties = [each for override in fields["overrides"] for each in override["properties"]]
        properties += [{"id": name, "value": value} for name, value in fields["defaults"].items() if name == "unit"]
        for each in properties:
            yield from (f"{panel['title']}: {fault}" for fault in _strange_property(each["id"], each["value"], config))


def _strange_property(name, value, config):
    """A property of an override is a field of the defaults, or of the panel's own ``custom``."""
    top, _, below = name.partition(".")
    if top == "custom":
        if config is None or config.field_config_from_json_hook is None:
            return [f"Grafana has no {name!r} of this panel"]
        # Tables can hide a field since Grafana 12.2, which their schema does not say.
        reader = common.HideableFieldConfig.from_json if below == "hideFrom" else config.field_config_from_json_hook
        read = reader({below: value})
        written = json.loads(json.dumps(read, cls=JSONEncoder))
        return [*_lost({below: value}, written, "custom"), *_walk(read, type(read), "custom")]
    if top == "unit":
        known = value in UNITS or value.startswith(_OWN_UNITS)
        return [] if known else [f"Grafana has no unit {value!r}"]
    read = dashboard.FieldConfig.from_json({top: value})
    written = json.loads(json.dumps(read, cls=JSONEncoder))
    return [*_lost({top: value}, written, "override"), *_walk(read, dashboard.FieldConfig, "override")]
