"""Grafana boards for commerce services, derived from ``shopscope.toml``."""

from shopscope_dashboards._annotations import Annotation, alerts_annotation
from shopscope_dashboards._base import DataPanel, Panel, Row, Text
from shopscope_dashboards._board import Board, Placed
from shopscope_dashboards._data_panels import Heatmap, Logs, NodeGraph, Table, Traces
from shopscope_dashboards._errors import BoardError
from shopscope_dashboards._fields import Column, Override, Threshold, ValueMapping
from shopscope_dashboards._links import Link, board_link, logs_link, metrics_link, runbook_link, traces_link
from shopscope_dashboards._names import bucket, count, metric, recorded, total
from shopscope_dashboards._panels import BarGauge, Gauge, Stat, StateTimeline, TimeSeries
from shopscope_dashboards._queries import LogQuery, PromQuery, Query, TraceQuery
from shopscope_dashboards._variables import ENVIRONMENT, Variable

__all__ = [
    "ENVIRONMENT",
    "Annotation",
    "BarGauge",
    "Board",
    "BoardError",
    "Column",
    "DataPanel",
    "Gauge",
    "Heatmap",
    "Link",
    "LogQuery",
    "Logs",
    "NodeGraph",
    "Override",
    "Panel",
    "Placed",
    "PromQuery",
    "Query",
    "Row",
    "Stat",
    "StateTimeline",
    "Table",
    "Text",
    "Threshold",
    "TimeSeries",
    "TraceQuery",
    "Traces",
    "ValueMapping",
    "Variable",
    "alerts_annotation",
    "board_link",
    "bucket",
    "count",
    "logs_link",
    "metric",
    "metrics_link",
    "recorded",
    "runbook_link",
    "total",
    "traces_link",
]
