"""The examination: who answers, then the request's way, then what may stand in it."""

import os
import shutil
import time
from collections.abc import Mapping
from typing import Final

import shopscope
from shopscope_ops.doctor._http import Answer, ask
from shopscope_ops.doctor._identity import IDENTITIES, TITLES, judge_identities, last_error
from shopscope_ops.doctor._judge import judge_clocks, judge_room, judge_versions
from shopscope_ops.doctor._report import Report, Step, Verdict, left_out
from shopscope_ops.doctor._request import Sent, judge_sent, new_mark, send_marked
from shopscope_ops.doctor._steps import Question, arrived, asked
from shopscope_ops.doctor._target import Target
from shopscope_ops.doctor._trail import Trail
from shopscope_ops.engines._probes import port_holder

__all__ = ["PATIENCE_SECONDS", "examine"]

PATIENCE_SECONDS: Final = 20.0


def examine(
    target: Target, patience_seconds: float = PATIENCE_SECONDS, environment: Mapping[str, str] = os.environ
) -> Report:
    """Send one marked request and follow it.

    Args:
        target: what to examine.
        patience_seconds: how long a component may take until it shows what was sent.
        environment: how the endpoint is reached: ``OTEL_EXPORTER_OTLP_HEADERS`` and the like.

    Returns:
        Every step; where nothing runs, only that.
    """
    mark = new_mark()
    answers = {name: _identify(target, name) for name in target.components}
    running = tuple(name for name, answer in answers.items() if IDENTITIES[name].version(answer) is not None)
    holders = {name: _holder(target, name) for name in answers if name not in running}
    first = asked(Question("components answer", target.engine, lambda: _judge_answers(target, answers, holders)))
    if not running and all(answer.is_refused for answer in answers.values()) and not any(holders.values()):
        return Report(target.engine, mark, "", is_anything_running=False, steps=(first,))
    trail = Trail(target, running)
    sent, request = _send(target, trail, mark, holders, environment)
    steps = [first, request, *_follow(trail, sent, patience_seconds), *_check(target, trail, answers, sent)]
    return Report(target.engine, mark, sent.trace_id, is_anything_running=True, steps=tuple(steps))


def _identify(target: Target, name: str) -> Answer:
    identity = IDENTITIES[name]
    return ask(target.url(f"{name}.{identity.port}", identity.path))


def _holder(target: Target, name: str) -> str:
    """Who holds a port of a component that does not answer: it may be why it could not start."""
    for key, port in target.ports.items():
        if key.partition(".")[0] == name and (holder := port_holder(port)):
            return f"port {port} is held by {holder}"
    return ""


def _judge_answers(target: Target, answers: Mapping[str, Answer], holders: Mapping[str, str]) -> Verdict:
    ports = {name: _port(target, name) for name in answers}
    words = {name: last_error(target.read_log(name)) for name in holders}
    return judge_identities(answers, ports, holders, words, target.start_command)


def _port(target: Target, name: str) -> int:
    return target.ports[f"{name}.{IDENTITIES[name].port}"]


def _send(
    target: Target, trail: Trail, mark: str, holders: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[Sent, Step]:
    owner = target.endpoint_port.partition(".")[0]
    started = time.monotonic()
    sent = send_marked(target.endpoint, mark, environment)
    verdict = trail.judge(sent, judge_sent(sent, target.endpoint, TITLES.get(owner, owner), holders.get(owner, "")))
    return sent, Step("sent the request", "SDK", verdict, time.monotonic() - started)


def _follow(trail: Trail, sent: Sent, patience_seconds: float) -> list[Step]:
    """Each component's part; where the SDK could not send, they have not been reached."""
    questions = trail.questions(sent)
    if not sent.is_delivered:
        never = left_out("the request did not get there")
        return [Step(question.name, question.component, never, 0.0) for question in questions]
    return arrived(questions, patience_seconds)


def _check(target: Target, trail: Trail, answers: Mapping[str, Answer], sent: Sent) -> list[Step]:
    found = {
        "SDK": sent.sdk_version or shopscope.__version__,
        **{name: IDENTITIES[name].version(answers[name]) or "" for name in trail.running},
    }
    skews = {
        TITLES.get(name, name): answer.skew_seconds for name, answer in answers.items() if answer.date
    } | trail.clocks()
    questions = [
        Question("clocks agree", target.engine, lambda: judge_clocks(skews)),
        Question("versions fit", target.engine, lambda: _judge_versions(target, trail, found)),
        *trail.checks(sent.mark),
        Question("room on the disk", target.engine, lambda: judge_room(*_room(target))),
    ]
    absent = [Step("left out", name, left_out(reason), 0.0) for name, reason in target.left_out.items()]
    return [*(asked(question) for question in questions), *absent]


def _judge_versions(target: Target, trail: Trail, found: Mapping[str, str]) -> Verdict:
    expected = {**target.versions, "SDK": shopscope.__version__}
    return judge_versions(found, expected, trail.sdks(), target.start_command)


def _room(target: Target) -> tuple[int | None, str]:
    folder = target.folder
    if folder is None or not folder.is_dir():
        return None, ""
    return shutil.disk_usage(folder).free, str(folder)
