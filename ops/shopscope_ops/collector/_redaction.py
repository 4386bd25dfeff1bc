"""The collector's processors that hide secrets, as YAML: the same list as the SDK's, on every text of every signal."""

import re
from collections.abc import Iterable, Mapping, Sequence

from shopscope._redaction._patterns import REDACTED, SECRET_KEY
from shopscope._redaction._privacy import MAX_CHARACTERS
from shopscope_ops.collector._patterns import MARKS, harmless_patterns, key_name_pattern, key_pattern, value_patterns
from shopscope_ops.collector._yaml import in_ottl, quoted

# Not sent of what was looked at: a secret that the limit cuts in two is not known by its form.
_KEPT = MAX_CHARACTERS - 1024
_NAME_CHARACTERS = 1000
# First words of names of spans, so that what follows is looked at as a word of its own.
_VERBS = "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|QUERY|SELECT|INSERT|UPDATE|MERGE|SET|MGET|HTTP"

#: Of each signal the contexts, and their fields that are texts; attributes and bodies are looked at by ``redaction``.
_RESOURCE, _SCOPE = ("schema_url",), ("name", "version", "schema_url")
_SIGNALS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "trace": {
        "resource": _RESOURCE,
        "scope": _SCOPE,
        "span": ("name", "status.message", "trace_state"),
        "spanevent": ("name",),
    },
    "metric": {"resource": _RESOURCE, "scope": _SCOPE, "metric": ("name", "description", "unit"), "datapoint": ()},
    "log": {"resource": _RESOURCE, "scope": _SCOPE, "log": ("severity_text", "event_name")},
}


def render_redaction() -> str:
    """The processors, in the order of the pipelines."""
    return "".join((*_texts(), *_keys(), *_values(), *_cut()))


def _texts() -> Iterable[str]:
    yield "  # Names and other texts outside of attributes; what is too long is cut. An error drops the data.\n"
    yield "  transform/texts:\n    error_mode: propagate\n"
    for signal, contexts in _SIGNALS.items():
        yield f"    {signal}_statements:\n"
        for context, fields in contexts.items():
            yield _group([*_attributes(context), *_fields(context, fields), *(_body() if context == "log" else ())])
        if signal == "metric":
            # An exemplar needs its trace alone.
            yield _group(["keep_keys(exemplar.filtered_attributes, [])"])


def _attributes(context: str) -> Iterable[str]:
    if context != "metric":
        yield f"keep_matching_keys({context}.attributes, {in_ottl(key_name_pattern())})"
        yield f"truncate_all({context}.attributes, {MAX_CHARACTERS})"


def _fields(context: str, fields: Sequence[str]) -> Iterable[str]:
    """Texts that need a closer look go through the context's cache, so that the long list stands here once."""
    if not fields:
        return
    for field in fields:
        path, place = f"{context}.{field}", f"{context}.cache[{in_ottl(field)}]"
        yield f"set({path}, Substring({path}, 0, {_NAME_CHARACTERS}, true)) where Len({path}) > {_NAME_CHARACTERS}"
        yield f"set({place}, {path}) where not IsMatch({path}, {in_ottl(_harmless_name())})"
    everything = in_ottl("|".join(f"(?:{pattern})" for pattern in value_patterns()))
    yield f'replace_all_patterns({context}.cache, "value", {everything}, {in_ottl(REDACTED)})'
    for field in fields:
        place = f"{context}.cache[{in_ottl(field)}]"
        yield f"set({context}.{field}, {place}) where {place} != nil"


def _harmless_name() -> str:
    return rf"^(?:(?:{_VERBS}) |https://opentelemetry\.io/schemas/)?{harmless_patterns()[0].removeprefix('^')}"


def _body() -> Iterable[str]:
    size = f"IsString(log.body) and Len(log.body) > {MAX_CHARACTERS}"
    yield f"set(log.body, Substring(log.body, 0, {MAX_CHARACTERS}, true)) where {size}"
    # Bytes cannot be looked at.
    known = " and ".join(f"not Is{kind}(log.body)" for kind in ("String", "Map", "List", "Int", "Double", "Bool"))
    yield f"set(log.body, {in_ottl(REDACTED)}) where log.body != nil and {known}"


def _keys() -> Iterable[str]:
    # The reference provokes our errors too; and who only generates has no need of all that it imports.
    from shopscope_ops.reference._attribute_table import ATTRIBUTES  # noqa: PLC0415 (as said)

    plain = sorted({row.key for row in ATTRIBUTES if "<" not in row.key and not SECRET_KEY.search(row.key)})
    yield "  # Values by their key. Left aside are keys of docs/reference/attributes.md, none of which is a secret's.\n"
    yield "  redaction/keys:\n    allow_all_keys: true\n    summary: silent\n"
    yield from _list("blocked_key_patterns", [key_pattern()])
    yield from _list("allowed_values", [f"^(?:{'|'.join(map(re.escape, MARKS))})$"])
    yield from _list("ignored_keys", plain)


def _values() -> Iterable[str]:
    yield "  # Values by their form, of every type. The first list is what needs no closer look.\n"
    yield "  redaction/values:\n    allow_all_keys: true\n    redact_all_types: true\n    summary: silent\n"
    yield from _list("allowed_values", harmless_patterns())
    yield from _list("blocked_values", value_patterns())


def _cut() -> Iterable[str]:
    yield "  # What the first cut has cut in two has no form: the end of long texts goes too.\n"
    yield "  transform/ends:\n    error_mode: propagate\n"
    for signal, contexts in _SIGNALS.items():
        yield f"    {signal}_statements:\n"
        for context in contexts:
            if context == "metric":
                continue
            size = f"IsString(log.body) and Len(log.body) > {_KEPT}"
            body = [f"set(log.body, Substring(log.body, 0, {_KEPT}, true)) where {size}"] if context == "log" else []
            yield _group([f"truncate_all({context}.attributes, {_KEPT})", *body])


def _group(statements: Sequence[str]) -> str:
    lines = "".join(f"          - {quoted(statement)}\n" for statement in statements)
    return f"      - statements:\n{lines}"


def _list(name: str, items: Iterable[str]) -> Iterable[str]:
    yield f"    {name}:\n"
    yield from (f"      - {quoted(item)}\n" for item in items)
