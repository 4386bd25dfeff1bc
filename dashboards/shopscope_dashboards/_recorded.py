"""Series that the recording rules make, and their labels; the rules' generator is tested against this table.

``slo:`` and ``sloth_`` are sloth's names with sloth's meaning, so that boards made for sloth work; ours are
``shopscope:``.
"""

from types import MappingProxyType
from typing import Final

#: Windows of the error ratio; the last is looked back over by the budget of a journey that says nothing else.
WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")

_JOURNEY = ("journey", "deployment_environment_name")
_SLOTH = (*_JOURNEY, "sloth_id", "sloth_service", "sloth_slo")

#: Name of each recorded series → its labels.
LABELS: Final = MappingProxyType(
    {
        # Share of bad events, slow or failed, among all of the window; 0 where there was none.
        **{f"slo:sli_error:ratio_rate{window}": (*_SLOTH, "sloth_window") for window in WINDOWS},
        "slo:objective:ratio": _SLOTH,
        "slo:error_budget:ratio": _SLOTH,
        "slo:time_period:days": _SLOTH,
        "slo:current_burn_rate:ratio": _SLOTH,
        "slo:period_burn_rate:ratio": _SLOTH,
        "slo:period_error_budget_remaining:ratio": _SLOTH,
        "sloth_slo_info": (*_SLOTH, "owner", "latency", "sloth_objective"),
        # Share that may be bad, and what else the file says of the journey; of no environment.
        "shopscope:journey_budget:ratio": (
            "journey",
            "sloth_id",
            "sloth_service",
            "sloth_slo",
            "sloth_objective",
            "latency",
            "owner",
            "runbook",
            "window",
        ),
        # For how long its events came within the last day.
        "shopscope:journey_seen:minutes": _JOURNEY,
        # Events a second, and events in a window, by outcome: good, slow, error.
        "shopscope:slo_events:rate5m": (*_JOURNEY, "outcome"),
        **{f"shopscope:slo_events:increase{window}": (*_JOURNEY, "outcome") for window in WINDOWS[1:]},
        # The two parts of one budget; outcome is slow or error.
        # Events a second over an hour, once a minute: 30 days of it are read at every evaluation.
        "shopscope:slo_events:rate1h": (*_JOURNEY, "outcome"),
        "shopscope:sli_error:ratio_rate5m": (*_JOURNEY, "outcome"),
        "shopscope:sli_error:ratio_rate30d": (*_JOURNEY, "outcome"),
        # Until the budget is spent, at the burn rate of the last hour; absent while it does not shrink.
        "shopscope:error_budget_exhaustion:seconds": _JOURNEY,
    }
)

RECORDED: Final = frozenset(LABELS)
