"""Every query that shopscope ships, what it is asked of, and whether the answer has data."""

import math
import re
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml
from asking import read_json

from shopscope_dashboards._lint._grafana import replaced, targets_of, variable_values
from shopscope_dashboards._lint._promql import operator, selected, walk

STEP_SECONDS = 5
#: What Grafana puts for its own variables, for a stack that is minutes old.
WINDOWS = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h", "__interval_ms": "15000", "__range_s": "3600"}
_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_OFFSET = re.compile(r"\s+offset\s+\w+")


@dataclass(frozen=True, slots=True)
class Question:
    """One query.

    Attributes:
        origin: uid of a board, or name of a file with rules.
        place: panel, variable, annotation, rule or alert.
        source: ``prometheus``, ``tempo`` or ``loki``.
        text: the query, with values for variables.
        is_instant: asks for the newest value alone.
        kind: ``serviceMap``, else empty.
    """

    origin: str
    place: str
    source: str
    text: str
    is_instant: bool = False
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.origin} · {self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question: ``data``, ``excused``, ``not asked`` or ``nothing``; and why."""

    question: Question
    state: str
    reason: str = ""


def unique(questions: Iterable[Question]) -> list[Question]:
    """Without those that one board or file asks twice: links to Explore stand on many panels."""
    return list({(one.origin, one.source, one.kind, one.is_instant, one.text): one for one in questions}.values())


def board_questions(boards: Iterable[Mapping[str, Any]]) -> Iterator[Question]:
    """The queries of boards: of panels, variables, annotations and links to Explore."""
    for board in boards:
        values = {**variable_values(dict(board)), **WINDOWS}
        for target in targets_of(dict(board)):
            text = replaced(target.text, values)
            if target.place.startswith("annotation"):
                text = inputs(text)
            yield Question(target.board, target.place, target.source, text, target.is_instant, target.kind)


def rule_questions(paths: Iterable[Path]) -> Iterator[Question]:
    """The expressions of rules, and of alerts what they compare: an alert that need not fire has data all the same."""
    for path in paths:
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    yield Question(
                        path.name, f"alert {rule['alert']}", "prometheus", inputs(rule["expr"]), is_instant=True
                    )
                else:
                    yield Question(path.name, rule["record"], "prometheus", rule["expr"], is_instant=True)
                    yield Question(path.name, rule["record"], "prometheus", rule["record"], is_instant=True)


def inputs(text: str) -> str:
    """What an alert or mark looks at, without the conditions that make it one.

    Comparisons are gone, and so are what must not be there besides (``unless``), what was there before (``offset``),
    and ``absent``.
    """
    tree = promql.transform(promql.parse(_OFFSET.sub("", text)), post_visit=_unconditional)
    return str(tree)


def _unconditional(tree: promql.Expr) -> promql.Expr | None:
    if isinstance(tree, promql.BinaryExpr):
        sign = operator(tree)
        is_bool = tree.modifier is not None and tree.modifier.return_bool
        if sign == "unless" or (sign in _COMPARISONS and not is_bool):
            return tree.rhs if isinstance(tree.lhs, promql.NumberLiteral) else tree.lhs
    if isinstance(tree, promql.Call) and tree.func.name in {"absent", "absent_over_time"}:
        return tree.args[0]
    return None


@dataclass
class Judge:
    """Asks a running stack.

    Attributes:
        address: of a component's port, such as ``prometheus.http``.
        left_out: components that do not run, and why.
        since: when the load began, in seconds.
        absent: regular expressions of selectors that need not match a series, and why.
    """

    address: Callable[[str], str]
    left_out: Mapping[str, str]
    since: float
    absent: Mapping[str, str]
    _series: dict[str, bool] = field(default_factory=dict)
    _known: dict[tuple[str, str, str, bool], Answer] = field(default_factory=dict)

    @property
    def until(self) -> float:
        """Now: what was not there a moment ago may have come."""
        return time.time()

    def judge(self, question: Question) -> Answer:
        """Ask one question, if it was not asked before with success."""
        key = (question.source, question.kind, question.text, question.is_instant)
        if key not in self._known or self._known[key].state == "nothing":
            self._known[key] = self._judge(question)
        return replace(self._known[key], question=question)

    def _judge(self, question: Question) -> Answer:
        ask = {"prometheus": self._metrics, "tempo": self._traces, "loki": self._logs}
        if question.kind == "serviceMap":
            return self._service_map(question)
        if question.source != "prometheus" and question.source in self.left_out:
            return Answer(question, "not asked", f"no {question.source} here")
        try:
            return ask[question.source](question)
        except ValueError as error:
            return Answer(question, "nothing", f"no query: {error}")
        except urllib.error.HTTPError as error:
            return Answer(question, "nothing", f"refused: {error.read().decode(errors='replace')[:300]}")

    def _metrics(self, question: Question) -> Answer:
        """An answer with numbers, and a series for every selector: ``or`` may hide one that selects nothing."""
        missing = [selector for selector in selectors_of(question.text) if not self._matches(selector)]
        if gone := sorted({part for selector in missing for part in _parts_of(selector)} & self.left_out.keys()):
            return Answer(question, "not asked", f"no {', '.join(gone)} here")
        reasons = {selector: excuse_of(self.absent, selector) for selector in missing}
        if unexcused := [selector for selector, reason in reasons.items() if not reason]:
            return Answer(question, "nothing", f"no series: {', '.join(unexcused)}")
        if self._has_numbers(question):
            return Answer(question, "data")
        excuse = next(iter(reasons.values()), "")
        return Answer(
            question, "excused" if excuse else "nothing", excuse or "no answer, although all series are there"
        )

    def _has_numbers(self, question: Question) -> bool:
        prometheus = self.address("prometheus.http")
        if question.is_instant:
            found = read_json(prometheus, "/api/v1/query", query=question.text, time=self.until)["data"]
            if found["resultType"] == "scalar":
                return True
            values = [row["value"][1] for row in found["result"] if "value" in row]
        else:
            window = {"start": self.since, "end": self.until, "step": STEP_SECONDS}
            found = read_json(prometheus, "/api/v1/query_range", query=question.text, **window)["data"]
            values = [value for row in found["result"] for _, value in row.get("values", ())]
            values += ["1" for row in found["result"] if row.get("histograms")]
        return any(not math.isnan(float(value)) for value in values)

    def _matches(self, selector: str) -> bool:
        if not self._series.get(selector):
            query = {"match[]": selector, "start": self.since, "end": self.until, "limit": 1}
            self._series[selector] = bool(read_json(self.address("prometheus.http"), "/api/v1/series", **query)["data"])
        return self._series[selector]

    def _service_map(self, question: Question) -> Answer:
        if "tempo" in self.left_out:
            return Answer(question, "not asked", "no tempo here")
        series = f"traces_service_graph_request_total{question.text}"
        return Answer(question, "data" if self._matches(series) else "nothing", f"no series: {series}")

    def _traces(self, question: Question) -> Answer:
        asked = {"q": question.text, "start": int(self.since), "end": math.ceil(self.until), "limit": 5}
        is_metric = re.search(
            r"\|\s*(rate|count_over_time|\w+_over_time|histogram_over_time|compare)\s*\(", question.text
        )
        path = "/api/metrics/query_range" if is_metric else "/api/search"
        found = read_json(self.address("tempo.http"), path, **asked)
        return _answered(question, found.get("series") if is_metric else found.get("traces"))

    def _logs(self, question: Question) -> Answer:
        window = {"start": int(self.since * 1e9), "end": int(self.until * 1e9), "limit": 5, "step": STEP_SECONDS}
        path = "/loki/api/v1/query" if question.is_instant else "/loki/api/v1/query_range"
        asked = {"time": int(self.until * 1e9)} if question.is_instant else window
        found = read_json(self.address("loki.http"), path, query=question.text, **asked)
        return _answered(question, found["data"]["result"])


def _answered(question: Question, found: Any) -> Answer:
    return Answer(question, "data") if found else Answer(question, "nothing", "no answer")


def excuse_of(reasons: Mapping[str, str], text: str) -> str:
    """Why a selector or query needs no data; empty when it does."""
    return next((reason for pattern, reason in reasons.items() if re.search(pattern, text)), "")


def selectors_of(text: str) -> list[str]:
    """The selectors of a query, as text."""
    return sorted({_series_of(node) for node in walk(promql.parse(text)) if isinstance(node, promql.VectorSelector)})


#: First part of the names of what only one component emits or makes.
_OF_PART = {"tempo": "tempo|traces_service_graph_", "loki": "loki_", "grafana": "grafana_"}


def _parts_of(selector: str) -> list[str]:
    """The components that alone emit what a selector selects."""
    return [part for part, names in _OF_PART.items() if re.search(rf'(?:^|\||__name__=~?")(?:{names})', selector)]


def _series_of(node: promql.VectorSelector) -> str:
    """A selector as text, without its offset."""
    names, matchers = selected(node)
    conditions = [f'{matcher.label}{matcher.operator}"{_escaped(matcher.value)}"' for matcher in matchers]
    if len(names) == 1:
        return f"{names[0]}{{{','.join(conditions)}}}"
    pattern = next(
        f'__name__{_SIGNS[str(one.op)[8:]]}"{one.value}"' for one in node.matchers.matchers if one.name == "__name__"
    )
    return f"{{{','.join((pattern, *conditions))}}}"


_SIGNS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def table(answers: Iterable[Answer]) -> list[str]:
    """How many queries of each board and file had data, and the sum."""
    answers = list(answers)
    origins = list(dict.fromkeys(answer.question.origin for answer in answers))
    counted = {name: Counter(one.state for one in answers if one.question.origin == name) for name in origins}
    states = ("data", "excused", "not asked", "nothing")
    width = max(map(len, origins))
    lines = [f"{'':{width}}  queries  with data  excused  not asked  nothing"]
    for name, counts in counted.items():
        data, excused, unasked, nothing = (counts[state] for state in states)
        lines.append(f"{name:{width}}  {counts.total():7}  {data:9}  {excused:7}  {unasked:9}  {nothing:7}")
    total = Counter(answer.state for answer in answers)
    lines.append(f"{total.total()} queries, {total['data']} with data")
    reasons = Counter((one.state, one.reason) for one in answers if one.state in {"excused", "not asked"})
    lines += [f"  {count} {state}: {reason}" for (state, reason), count in sorted(reasons.items())]
    return lines
