"""The pool under anything that can happen in any order: no limit is passed, nobody is forgotten, no leak.

`GATEWAY_FUZZ=N` makes the run N times longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.errors import ConnectError

from .fakes import OPEN, Asker, FakeDial, PoolBench

EFFORT = int(os.environ.get("GATEWAY_FUZZ", "1"))
OUTCOMES: list[Callable[[FakeDial], None]] = [
    FakeDial.succeed,
    FakeDial.fail,
    FakeDial.succeed_and_die,
    lambda dial: dial.succeed_with(b"HTTP/1.1 408 Request Timeout\r\n\r\n"),
]
BYTES = [
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi and more",
    b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
    b"garbage",
]
WHICH = st.integers(0, 5)


class PoolMachine(RuleBasedStateMachine):
    """Requests come, leave, are answered and time out, while the provider does what it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.users: list[Asker] = []
        self.fresh: set[Asker] = set()
        self.gone: dict[Asker, list[str]] = {}

    @initialize(limit=st.integers(1, 3), queue=st.integers(0, 3))
    def begin(self, limit: int, queue: int) -> None:
        self.limit, self.queue = limit, queue
        self.bench = PoolBench(max_connections=limit, max_queue=queue, queue_timeout=2.0, idle_timeout=4.0)

    @property
    def here(self) -> list[Asker]:
        return [user for user in self.users if user not in self.gone]

    @property
    def waiting(self) -> list[Asker]:
        return [user for user in self.here if user.told == []]

    @property
    def served(self) -> list[Asker]:
        return [user for user in self.here if user.connection is not None and user.end == OPEN]

    @property
    def open_dials(self) -> list[FakeDial]:
        return [dial for dial in self.bench.dialler.dials if dial.protocol and not dial.transport.closed]

    @rule(fresh=st.booleans())
    def come(self, fresh: bool) -> None:
        try:
            user = self.bench.ask(fresh=fresh)
        except ConnectError:
            assert self.bench.pool.queued == self.queue
            return
        self.users.append(user)
        if fresh:
            self.fresh.add(user)

    @precondition(lambda self: self.waiting)
    @rule(which=WHICH)
    def leave_while_waiting(self, which: int) -> None:
        user = self.waiting[which % len(self.waiting)]
        self.gone[user] = list(user.told)
        self.bench.run(lambda: self.bench.pool.cancel(user))

    @precondition(lambda self: self.served)
    @rule(which=WHICH)
    def leave_while_served(self, which: int) -> None:
        user = self.served[which % len(self.served)]
        assert user.connection is not None
        self.gone[user] = list(user.told)
        self.bench.run(user.connection.abandon)

    @precondition(lambda self: self.bench.dialler.pending)
    @rule(which=WHICH, outcome=st.sampled_from(OUTCOMES))
    def decide_a_dial(self, which: int, outcome: Callable[[FakeDial], None]) -> None:
        pending = self.bench.dialler.pending
        self.bench.run(lambda: outcome(pending[which % len(pending)]))

    @precondition(lambda self: self.open_dials)
    @rule(which=WHICH, data=st.sampled_from(BYTES))
    def send_bytes(self, which: int, data: bytes) -> None:
        protocol = self.open_dials[which % len(self.open_dials)].protocol
        assert protocol is not None
        self.bench.run(lambda: protocol.data_received(data))

    @precondition(lambda self: self.open_dials)
    @rule(which=WHICH)
    def close_a_connection(self, which: int) -> None:
        self.bench.run(self.open_dials[which % len(self.open_dials)].lose)

    @rule(seconds=st.sampled_from([0.5, 1.5, 5.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.bench.loop.advance(seconds)

    @invariant()
    def limits_hold_and_no_place_stays_empty_while_somebody_waits(self) -> None:
        pool, dials = self.bench.pool, len(self.bench.dialler.pending)
        assert pool.connections + dials <= self.limit
        assert pool.queued <= self.queue
        assert pool.queued == 0 or pool.connections + dials == self.limit

    @invariant()
    def everybody_who_waits_is_dialled_for_or_queued(self) -> None:
        assert self.bench.pool.queued + len(self.bench.dialler.pending) == len(self.waiting)

    @invariant()
    def the_pool_knows_what_is_open_and_each_connection_serves_one(self) -> None:
        assert self.bench.pool.connections == len(self.open_dials)
        assert len({user.connection for user in self.served}) == len(self.served)

    @invariant()
    def nobody_is_told_anything_after_leaving_and_fresh_means_fresh(self) -> None:
        assert all(user.told == told for user, told in self.gone.items())
        assert all(user.told[0] != "connected" or not user.was_reused for user in self.fresh if user.told)

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.close()


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=60 * EFFORT, stateful_step_count=40, deadline=None)
