"""Series that the recording rules make; the rules' generator is tested against this table."""

from typing import Final

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")

RECORDED: Final = frozenset(
    {
        *(f"slo:sli_error:ratio_rate{window}" for window in WINDOWS),
        "slo:objective:ratio",
        "slo:error_budget:ratio",
        "slo:time_period:days",
        "slo:current_burn_rate:ratio",
        "slo:period_burn_rate:ratio",
        "slo:period_error_budget_remaining:ratio",
        "sloth_slo_info",
        "shopscope:slo_events:rate5m",
        "shopscope:sli_error:ratio_rate5m",
        "shopscope:sli_error:ratio_rate30d",
        "shopscope:error_budget_exhaustion:seconds",
    }
)
