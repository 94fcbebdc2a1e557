"""How attempts are judged and how a circuit moves, made from the tables in gateway/resilience/."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from gateway.errors import UPSTREAM, Fault, GatewayError
from gateway.resilience import breaker
from gateway.resilience.breaker import State, Transition
from gateway.resilience.outcome import CALLERS_FAULT, Outcome, Result, Verdict, of_fault, of_status
from making.markdown import table

_STATES = {State.CLOSED: "closed", State.OPEN: "open", State.HALF_OPEN: "half_open"}
_OUTCOMES = {Outcome.SUCCESS: "success", Outcome.FAILURE: "failure", Outcome.NEUTRAL: "says nothing"}


def circuit_diagram() -> str:
    """The states of a circuit and every transition between them, as a Mermaid diagram."""
    reasons = _docstrings(Transition)
    lines = ["stateDiagram-v2", "    direction LR", f"    [*] --> {_STATES[State.CLOSED]}"]
    lines += [f'    state "{state}" as {name}' for state, name in _STATES.items()]
    for transition in Transition:
        before, after = _STATES[transition.before], _STATES[transition.after]
        lines.append(f"    {before} --> {after}: {reasons[transition.name].rstrip('.').lower()}")
    return "\n".join(["```mermaid", *lines, "```", ""])


def outcomes_table() -> str:
    """One row for each way in which results are treated, with all that are treated so."""
    groups: dict[Verdict, list[str]] = defaultdict(list)
    by_status: dict[Verdict, list[int]] = defaultdict(list)
    for status in range(200, 600):
        by_status[_plain(of_status(status, 1.0 if status in (429, 503) else None))].append(status)
    for verdict, statuses in by_status.items():
        groups[verdict].append(_ranges(statuses))
    groups[_plain(of_status(503))].append("503 without Retry-After")
    for fault in Fault:
        error = GatewayError(502, UPSTREAM, None, "")
        groups[_plain(of_fault(fault, error))].append(f"`{fault.value}`")
    groups[_plain(CALLERS_FAULT)].append(
        "an event stream that begins with an error of the request's own making"
    )
    head = ("Result of an attempt", "Circuit", "Same provider again", "Then the fallback", "Its Retry-After")
    return table(head, (_row(verdict, results) for verdict, results in groups.items()))


def _plain(result: Result) -> Verdict:
    """How a result is treated, without its name."""
    return result.verdict._replace(reason="")


def _row(verdict: Verdict, results: list[str]) -> tuple[str, ...]:
    yes = {True: "yes", False: "no"}
    again = yes[verdict.same] if verdict.outcome is not Outcome.SUCCESS else ""
    then = yes[verdict.retry] if verdict.outcome is not Outcome.SUCCESS else ""
    return ", ".join(results), _OUTCOMES[verdict.outcome], again, then, "cooldown" if verdict.cooldown else ""


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in rising order, with those that follow each other as `500 to 502`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _docstrings(enum: type[Transition]) -> dict[str, str]:
    """What stands beneath each member of an enum in its source."""
    tree = ast.parse(inspect.getsource(breaker))
    body = next(
        node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == enum.__name__
    )
    return {
        member.targets[0].id: text.value.value
        for member, text in pairwise(body)
        if isinstance(member, ast.Assign)
        and isinstance(member.targets[0], ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
