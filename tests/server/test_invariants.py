"""Whatever clients, handlers and time do, in any order: bytes are given back, and nobody is told twice."""

from __future__ import annotations

from typing import Any

import msgspec
from conversation import HEAD, LIMITS, TIMEOUTS, Conversation, post
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

LIMITS_HERE = msgspec.structs.replace(LIMITS, max_header=300, max_body=60, max_buffered=100)
ACTIVE = 4

PIECES = st.sampled_from(
    [
        b"GET /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n",
        b"GET /v1/models HTTP/1.0\r\n\r\n",
        b"HEAD /v1/models HTTP/1.1\r\nhost: gw\r\n\r\n",
        post(b"x" * 20),
        post(b"x" * 60, b"connection: close"),
        post(b"x" * 61),
        post(b"x" * 30, b"connection: upgrade", b"upgrade: h2c"),
        post(b"x" * 30, b"expect: 100-continue"),
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n5;ext\r\nabcde\r\n0\r\nx: y\r\n\r\n",
        b"5\r\nabcde\r\n",
        b"0\r\n\r\n",
        b"nonsense",
        b"\r\n",
        b"x" * 25,
    ]
)


class Clients(RuleBasedStateMachine):
    """A few connections to one site, whose handler is in the hands of the machine."""

    def __init__(self) -> None:
        super().__init__()
        first = Conversation(held=True, limits=LIMITS_HERE, max_connections=ACTIVE - 1)
        self.site = first.site
        self.requests = first.requests
        self.talks = [first]
        self.clock = first.clock

    def open(self, index: int) -> Conversation:
        """One of the connections whose client is still there; a new one where there are too few."""
        while len(self.talks) < ACTIVE:
            self.talks.append(Conversation(site=self.site))
        return self.talks[index % ACTIVE]

    @rule(
        index=st.integers(0, ACTIVE), data=st.lists(PIECES, max_size=4).map(b"".join), at=st.integers(0, 200)
    )
    def says(self, index: int, data: bytes, at: int) -> None:
        self.open(index).says(data[:at], data[at:])

    @rule(index=st.integers(0, ACTIVE), error=st.sampled_from([None, ConnectionResetError()]))
    def leaves(self, index: int, error: Exception | None) -> None:
        talk = self.open(index)
        talk.leaves(error)
        self.talks.remove(talk)

    @rule(index=st.integers(0, ACTIVE))
    def does_not_read(self, index: int) -> None:
        self.open(index).connection.pause_writing()

    @rule(index=st.integers(0, ACTIVE))
    def reads_again(self, index: int) -> None:
        self.open(index).connection.resume_writing()

    @rule(seconds=st.sampled_from([0.5, TIMEOUTS.header, TIMEOUTS.body, TIMEOUTS.keepalive]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        for talk in self.talks:
            if talk.connection.deadline_s <= self.clock.now:
                talk.connection.timed_out()

    @rule(index=st.integers(0, ACTIVE))
    def is_finished(self, index: int) -> None:
        self.open(index).connection.finish()

    @precondition(lambda self: self.unanswered())
    @rule(index=st.integers(0, ACTIVE), how=st.sampled_from(["respond", "stream", "cut"]))
    def is_answered(self, index: int, how: str) -> None:
        unanswered = self.unanswered()
        exchange = unanswered[index % len(unanswered)]
        exchange.told.append("answered")
        client = exchange.client
        if how == "respond":
            client.respond(200, [], b"answer")
            return
        client.start(200, [], None, b"a")
        if how == "stream":
            client.write(b"b")
            client.end(b"c")
        else:
            client.cut()

    def unanswered(self) -> list[Any]:
        return [one for one in self.requests if not {"answered", "gone"} & set(one.told)]

    @invariant()
    def bytes_are_bounded(self) -> None:
        assert 0 <= self.site.buffered <= LIMITS_HERE.max_buffered

    @invariant()
    def one_at_a_time_and_told_once(self) -> None:
        clients = [one.client for one in self.unanswered()]
        assert len(clients) == len(set(map(id, clients)))
        for one in self.requests:
            assert one.told.count("gone") + one.told.count("answered") <= 1
            assert one.told[-1:] == ["answered"] or "answered" not in one.told

    def teardown(self) -> None:
        for talk in self.talks:
            talk.leaves()
        assert self.site.buffered == 0
        assert not self.site.connections
        assert all("answered" in one.told or one.told[-1] == "gone" for one in self.requests)


TestClients = Clients.TestCase
