"""A model with several targets: which of them a request goes to, and who is asked when that one fails.

The rules:

1. A target whose circuit is open, or which has asked to be left alone, is passed over.
2. The strategy brings the others into an order: the first is asked, and when it has failed those behind it.
3. Then come the fallbacks of all these providers, in the same order, each once. One that is itself a target
   of the rule is asked for the model that it has as such.
4. Where all are passed over, the strategy chooses one of them all the same: what its circuit or its cooldown
   says, or what its fallbacks bring, is the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from gateway.config import schema
from gateway.providers.resilient import Routable
from gateway.routing.route import Kind, Lineup, Place, Route
from gateway.routing.strategies import ORDERS
from gateway.routing.target import Target

MAX_LINEUPS: Final = 1024
_NOBODY: Final = (b"null", b'""')


class Targets:
    """The targets of one rule under `models`; every name that fits the rule has a `Group` of them."""

    def __init__(self, rule: schema.Model, providers: Mapping[str, Routable]) -> None:
        strategy = rule.strategy or "weighted"
        header = None if rule.session is None else rule.session.header
        self.all = tuple(
            Target(providers[target.provider], target.model, target.weight) for target in rule.targets
        )
        self.order = ORDERS[strategy]
        self.is_by_session = strategy == "session"
        self.session_field = None if header is None else header.lower().encode()
        self._lineups: dict[tuple[Target, ...], Lineup] = {}

    def __repr__(self) -> str:
        return f"<Targets {self.order.__name__} {self.all}>"

    def lineup(self, order: Sequence[Target]) -> Lineup:
        """The targets in this order, and their fallbacks."""
        key = tuple(order)
        lineup = self._lineups.get(key)
        if lineup is None:
            # Twelve targets have half a billion orders.
            if len(self._lineups) >= MAX_LINEUPS:
                self._lineups.clear()
            lineup = self._lineups[key] = Lineup(self._places(key))
        return lineup

    def _places(self, order: Iterable[Target]) -> list[Place]:
        by_provider = {target.provider.name: target for target in reversed(self.all)}
        places = [Place(target.provider, 0, target.model, target) for target in order]
        asked = {place.provider.name for place in places}
        for target in order:
            for index, fallback in enumerate(target.provider.chain):
                if fallback.name not in asked:
                    asked.add(fallback.name)
                    other = by_provider.get(fallback.name)
                    model = (other or target).model
                    places.append(Place(target.provider, index, model, other))
        return places


class Group:
    """The targets of the model that the client calls `name`; see `Route` for `label` and `fallbacks`."""

    __slots__ = ("_fallbacks", "_label", "_name", "_targets")

    def __init__(self, targets: Targets, name: str, label: str, fallbacks: Mapping[Kind, Route]) -> None:
        self._targets = targets
        self._name = name
        self._label = label
        self._fallbacks = fallbacks

    def __repr__(self) -> str:
        return f"<Group {self._name!r} of {self._targets!r}>"

    def session(self, fields: Sequence[bytes], user: Callable[[], bytes | None]) -> bytes | None:
        """What names the session of a request where the strategy asks for it, else None.

        It is the value of the configured header field, or without that the JSON that `user()` reads of the
        body, where that names anybody. `fields` stand as name, `: `, value, CRLF in turn.
        """
        if not self._targets.is_by_session:
            return None
        wanted = self._targets.session_field
        if wanted is not None:
            for start in range(0, len(fields), 4):
                if fields[start].lower() == wanted:
                    return fields[start + 2]
        named = user()
        return None if named in _NOBODY else named

    def choose(self, now: float, sample: float, session: bytes | None = None) -> Route:
        """The way of one request; `now` in seconds of a monotonic clock, `sample` a draw from [0, 1)."""
        targets = self._targets
        available = [target for target in targets.all if target.is_available(target.model or self._name, now)]
        order = targets.order(available or targets.all, now, sample, session)
        # Those that are passed over are not asked behind the one that stands for them either.
        lineup = targets.lineup(order if available else order[:1])
        return Route(lineup, self._name, self._label, self._fallbacks)

    def route(self) -> Route:
        """The route that has this group; its lineup are all targets, in the order of the file."""
        return Route(self._targets.lineup(self._targets.all), self._name, self._label, self._fallbacks, self)
