"""All metrics as a page that Prometheus scrapes: text, or OpenMetrics with exemplars for whoever asks for it.

Every series carries the service and its instance, as it does when pushed: with several workers behind one port a scrape
reaches any of them, and counters of two processes under one name would be nonsense.
"""

import asyncio
import copy
import gzip
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

from shopscope._metrics._families import Example, Family, ScopeFamilies, Series
from shopscope._metrics._prometheus_names import prometheus_labels, prometheus_name
from shopscope._metrics._selfmetrics import internal_error, log_once
from shopscope._redaction._privacy import scrub_labels

_IDENTITY = ("service.name", "service.instance.id", "deployment.environment.name")
_END = b"# EOF\n"
_SUFFIXES = {"counter": "_total"}
_TYPES = {"updowncounter": "gauge"}

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class Exposition:
    """What a scrape finds: a registry, as far as ``prometheus_client``'s encoders look at one."""

    def __init__(
        self,
        metrics: Callable[[], Iterable[Metric]],
        meters: Callable[[], Iterable[ScopeFamilies]],
        resource: Callable[[], MutableMapping[str, Any]],
    ) -> None:
        self._metrics = metrics
        self._meters = meters
        self._resource = resource

    def collect(self) -> Iterator[Metric]:
        """Every family once, with the identity of this process on each sample."""
        resource = self._resource()
        identity = prometheus_labels({key: resource[key] for key in _IDENTITY if key in resource})
        target = Metric("target", "Who is measured.", "info")
        target.add_sample("target_info", scrub_labels(prometheus_labels(resource)), 1)
        found = {"target": target}
        for metric in self._metrics():
            if metric.name in found:
                _warn_of_double(metric.name)
            else:
                found[metric.name] = metric
        measured: dict[str, Metric] = {}
        for scope in self._meters():
            for family in scope.families:
                _add(measured, found, family, scope.name)
        found |= measured
        for metric in found.values():
            own = {} if metric is target else identity
            try:
                samples = [sample._replace(labels={**own, **scrub_labels(sample.labels)}) for sample in metric.samples]
            except Exception:  # noqa: BLE001 (labels of the team's own may be anything)
                internal_error(f"metric {metric.name}")
                continue
            if samples:
                yield _with_samples(metric, samples)

    def restricted_registry(self, names: Iterable[str]) -> "_Some":
        """Only the samples with these names."""
        return _Some(self.collect(), frozenset(names))

    def render(self, accept: str, names: Iterable[str] = ()) -> tuple[bytes, str]:
        """The page and its content type.

        Args:
            accept: the request's Accept header.
            names: only samples with these names; all if there are none.
        """
        names = tuple(names)
        encode, content_type = choose_encoder(accept)
        metrics = list(_Some(self.collect(), frozenset(names)).collect() if names else self.collect())
        try:
            return encode(_These(metrics)), content_type
        except Exception:  # noqa: BLE001 (one metric of the team's own must not cost the others)
            return _render_each(encode, metrics), content_type


class _These:
    """A few metrics, in the form of a registry."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


class _Some:
    """Those samples of metrics that were asked for by name."""

    def __init__(self, metrics: Iterable[Metric], names: frozenset[str]) -> None:
        self._metrics = metrics
        self._names = names

    def collect(self) -> Iterator[Metric]:
        for metric in self._metrics:
            samples = [sample for sample in metric.samples if sample.name in self._names]
            if samples:
                yield _with_samples(metric, samples)


def _with_samples(metric: Metric, samples: list[Sample]) -> Metric:
    """A copy, because collectors may hand out the same object again and again."""
    copied = copy.copy(metric)
    copied.samples = samples
    return copied


def _render_each(encode: Callable[[Any], bytes], metrics: Iterable[Metric]) -> bytes:
    pages, has_end = [], False
    for metric in metrics:
        try:
            page = encode(_These([metric]))
        except Exception:  # noqa: BLE001 (it is this one)
            internal_error(f"metric {metric.name}")
            continue
        has_end = page.endswith(_END)
        pages.append(page.removesuffix(_END))
    return b"".join(pages) + (_END if has_end else b"")


def _add(measured: dict[str, Metric], taken: Mapping[str, Metric], family: Family, scope: str) -> None:
    """A meter's family as a metric; scopes that measure the same share one, told apart by the scope's name."""
    name = prometheus_name(family.name, family.unit, family.kind)
    kind = _TYPES.get(family.kind, family.kind)
    metric = measured.get(name) or Metric(name, family.description, kind)
    is_double = any(sample.labels["otel_scope_name"] == scope for sample in metric.samples)
    if name in taken or metric.type != kind or is_double:
        _warn_of_double(name)
        return
    for series in family.series:
        labels = {"otel_scope_name": scope, **prometheus_labels(series.attributes)}
        metric.samples += _samples(name, family.kind, series, labels)
    measured[name] = metric


def _samples(name: str, kind: str, series: Series, labels: dict[str, str]) -> Iterator[Sample]:
    if kind != "histogram":
        example = _exemplar(series.examples[0]) if series.examples and kind == "counter" else None
        yield Sample(name + _SUFFIXES.get(kind, ""), labels, float(series.value), None, example)
        return
    cumulative = 0
    for index, count in enumerate(series.counts):
        cumulative += count
        bound = series.bounds[index] if index < len(series.bounds) else float("inf")
        before = series.bounds[index - 1] if index else float("-inf")
        example = next((_exemplar(one) for one in series.examples if before < one.value <= bound), None)
        yield Sample(f"{name}_bucket", {**labels, "le": floatToGoString(bound)}, cumulative, None, example)  # type: ignore[no-untyped-call]
    yield Sample(f"{name}_count", labels, series.count)
    yield Sample(f"{name}_sum", labels, series.total)


def _exemplar(example: Example) -> Exemplar:
    ids = {"trace_id": example.trace_id, "span_id": example.span_id}
    return Exemplar(ids, example.value, example.unix_nano / 1e9)


def _warn_of_double(name: str) -> None:
    log_once(
        f"double {name}", "metric %r is there more than once; /metrics shows the first one alone, rename one", name
    )


def asgi_app(exposition: Exposition | None) -> Application:
    """An ASGI application that answers every GET with the page (empty where telemetry is off)."""

    async def serve(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:  # noqa: ARG001 (ASGI)
        if scope["type"] != "http":
            raise RuntimeError(f"the metrics page speaks http alone: {scope['type']!r}")
        if scope["method"] not in {"GET", "HEAD"}:
            await _answer(send, 405, b"use GET\n", [(b"content-type", b"text/plain"), (b"allow", b"GET, HEAD")])
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        names = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("name[]", [])
        # In a thread: callbacks of the service's own run, and the page may be long.
        page = await asyncio.to_thread(_page, exposition, headers, names)
        await _answer(send, 200, b"" if scope["method"] == "HEAD" else page[0], page[1])

    return serve


def _page(
    exposition: Exposition | None, headers: MutableMapping[bytes, str], names: Iterable[str]
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    accept = headers.get(b"accept", "")
    body, content_type = (b"", "text/plain") if exposition is None else exposition.render(accept, names)
    answer = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")]
    if "gzip" in headers.get(b"accept-encoding", ""):
        body = gzip.compress(body, 1)
        answer.append((b"content-encoding", b"gzip"))
    return body, [*answer, (b"content-length", str(len(body)).encode())]


async def _answer(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
