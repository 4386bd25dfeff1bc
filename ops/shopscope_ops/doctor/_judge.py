"""What figures mean, for every engine: clocks, versions, series, room on the disk, the engine's own queue."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from shopscope._metrics._series import MAX_SERIES
from shopscope_ops.doctor._report import Verdict, failed, left_out, passed

__all__ = [
    "SeriesCount",
    "judge_clocks",
    "judge_engine_queue",
    "judge_room",
    "judge_series",
    "judge_versions",
]

# A Date header has whole seconds and may be a second old; what is wrong is minutes or hours.
_MOST_SKEW_SECONDS: Final = 5.0
_NEAR_CAP: Final = 0.8
_NEAR_FULL: Final = 0.5
_LEAST_FREE_BYTES: Final = 512 * 2**20
_MEBIBYTE: Final = 2**20


class SeriesCount(NamedTuple):
    """How many series a metric has in one process of a service."""

    metric: str
    service: str
    instance: str
    series: int


def judge_clocks(skews: Mapping[str, float | None]) -> Verdict:
    """Whether every component's clock agrees with ours; ``skews`` are seconds by which it is ahead."""
    known = {name: skew for name, skew in skews.items() if skew is not None}
    if not known:
        return left_out("no component tells its time")
    wrong = {name: skew for name, skew in known.items() if abs(skew) > _MOST_SKEW_SECONDS}
    if wrong:
        told = "; ".join(
            f"the clock of {name} is {_duration(skew)} {'ahead of' if skew > 0 else 'behind'} ours"
            for name, skew in wrong.items()
        )
        return failed(
            told,
            "let NTP set the clocks: what comes from the future or the past is refused, or stored where none looks",
        )
    name = max(known, key=lambda name: abs(known[name]))
    return passed(f"no clock is more than {_MOST_SKEW_SECONDS:g} s off (most: {name}, {abs(known[name]):.1f} s)")


def judge_versions(
    found: Mapping[str, str], expected: Mapping[str, str], services: Mapping[str, str], start: str
) -> Verdict:
    """Whether each component has the version that this shopscope was tested with.

    Args:
        found: version by component, the SDK among them; "" where it does not tell.
        expected: what they should be; a component that is not in it is only told.
        services: the SDK's version in each service that sends.
        start: the command that starts the engine.
    """
    wrong = [
        f"{name} is {version}, not {expected[name]}"
        for name, version in found.items()
        if version and version != expected.get(name, version)
    ]
    if wrong:
        return failed("; ".join(wrong), f"run shopscope down, then {start}, from one installation of shopscope")
    others = [
        f"service {name} sends with SDK {version}" for name, version in services.items() if version != expected["SDK"]
    ]
    if others:
        return failed(
            "; ".join(sorted(others)), f"install shopscope=={expected['SDK']} there: names of metrics may differ"
        )
    silent = [name for name, version in found.items() if not version]
    told = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    rest = f"{' and '.join(silent)} tell none" if silent else ""
    return passed("; ".join(part for part in (told, rest) if part))


def judge_series(counts: Sequence[SeriesCount], overflows: Sequence[tuple[str, str]], cap: int = MAX_SERIES) -> Verdict:
    """Whether any metric's labels have so many values that its series are, or soon will be, thrown together.

    Args:
        counts: the metrics with the most series.
        overflows: metric and service of those past the SDK's cap.
        cap: the SDK's.
    """
    fix = "take ids out of its label values (a route template instead of a path, a host name instead of an address)"
    if overflows:
        told = "; ".join(f"{metric} of {service}" for metric, service in overflows)
        return failed(f"more than {cap} series, further ones share one: {told}", fix)
    near = [count for count in counts if count.series >= cap * _NEAR_CAP]
    if near:
        told = "; ".join(f"{count.metric} of {count.service} has {count.series} of {cap} series" for count in near)
        return failed(told, fix)
    most = max(counts, key=lambda count: count.series, default=None)
    if most is None:
        return passed("no metric has been sent of late")
    return passed(f"most: {most.metric} of {most.service}, {most.series} of {cap} series")


def judge_room(free_bytes: int | None, folder: str) -> Verdict:
    """Whether there is room on the disk of the data; None when we cannot see it."""
    if free_bytes is None:
        return left_out("the data are where we cannot look")
    free = f"{free_bytes // _MEBIBYTE:,} MiB are free on the disk of {folder}"
    if free_bytes < _LEAST_FREE_BYTES:
        return failed(f"only {free}", "make room there: what is full takes no telemetry")
    return passed(free)


def judge_engine_queue(status: Mapping[str, Any]) -> Verdict:
    """Whether the embedded engine writes down what it takes; ``status`` is its status document."""
    if trouble := status.get("trouble"):
        return failed(f"the engine does not store what it is sent: {trouble}", _trouble_fix(str(trouble)))
    if not status:
        return failed("the engine gives no status", "look at its log")
    waiting, most = status["queue"]["bytes"], status["limits"]["queue_bytes"]
    if waiting > most * _NEAR_FULL:
        return failed(
            f"{waiting // _MEBIBYTE} of {most // _MEBIBYTE} MiB wait to be written",
            "send less, or give the engine a faster disk or more CPU",
        )
    return passed(f"{waiting / _MEBIBYTE:.1f} of {most // _MEBIBYTE} MiB wait to be written")


def _trouble_fix(trouble: str) -> str:
    text = trouble.lower()
    if any(word in text for word in ("no space", "disk", "file too large", "could not write")):
        return "make room on the disk of its data folder; it takes telemetry again by itself"
    return "look at its log"


def _duration(seconds: float) -> str:
    return f"{abs(seconds):.0f} s" if abs(seconds) < 120 else f"{abs(seconds) / 60:.0f} min"  # noqa: PLR2004 (minutes read better)
