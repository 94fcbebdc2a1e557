"""The pool: who gets which connection, who waits, and that nothing is left over whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gateway.errors import ConnectError, Fault

from .fakes import OPEN, WHOLE, Asker, FakeDial, PoolBench

Bench = Callable[..., PoolBench]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Makes pools; at the end everything of them must be gone."""
    made: list[PoolBench] = []

    def make(**settings: float) -> PoolBench:
        made.append(PoolBench(**settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


# -- who gets which connection


def test_a_request_dials_where_no_connection_is_free(bench: Bench) -> None:
    pool = bench()
    user = pool.ask()
    assert user.told == []
    assert repr(pool.pool) == "<Pool fake connections=0 unused=0 dialling=1 queued=0>"
    pool.decide(FakeDial.succeed)
    assert user.told == ["connected"]
    assert user.connection is not None
    assert not user.connection.reused
    assert pool.pool.connections == 1


def test_a_free_connection_is_used_again(bench: Bench) -> None:
    pool = bench()
    first = pool.connected()
    pool.answer(first)
    second = pool.ask()
    assert second.connection is first.connection
    assert second.connection is not None
    assert second.connection.reused
    assert len(pool.dialler.dials) == 1


def test_the_connection_used_last_is_used_first(bench: Bench) -> None:
    pool = bench()
    users = [pool.connected() for _ in range(3)]
    for user in (users[1], users[2], users[0]):
        pool.answer(user)
    assert [pool.ask().connection for _ in range(3)] == [users[i].connection for i in (0, 2, 1)]


def test_a_connection_that_closed_meanwhile_is_not_given_out(bench: Bench) -> None:
    pool = bench()
    users = [pool.connected() for _ in range(2)]
    for user in users:
        pool.answer(user)
    pool.lose(users[1])
    assert pool.ask().connection is users[0].connection


def test_a_connection_that_is_closing_is_not_given_out(bench: Bench) -> None:
    pool = bench()
    first = pool.connected()
    pool.answer(first)
    pool.dialler.dials[0].transport.closed = True  # FIN came; connection_lost follows
    assert pool.ask().connection is None
    assert len(pool.dialler.pending) == 1


def test_a_connection_with_surplus_bytes_is_nobody_s(bench: Bench) -> None:
    pool = bench()
    first = pool.connected()
    pool.answer(first)
    connection = first.connection
    assert connection is not None
    pool.run(lambda: connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    assert pool.pool.connections == 0
    assert pool.ask().connection is None


def test_fresh_asks_for_a_connection_that_was_never_used(bench: Bench) -> None:
    pool = bench()
    pool.answer(pool.connected())
    user = pool.ask(fresh=True)
    pool.decide(FakeDial.succeed)
    assert user.connection is not None
    assert not user.connection.reused
    assert pool.pool.connections == 2


def test_fresh_at_the_limit_takes_the_place_of_the_oldest_free_one(bench: Bench) -> None:
    pool = bench(max_connections=2)
    users = [pool.connected() for _ in range(2)]
    for user in users:
        pool.answer(user)
    pool.ask(fresh=True)
    assert [dial.transport.closed for dial in pool.dialler.dials[:2]] == [True, False]
    assert len(pool.dialler.pending) == 1


# -- who waits


def test_requests_wait_in_turn_where_every_connection_is_used(bench: Bench) -> None:
    pool = bench(max_connections=1)
    first = pool.connected()
    waiting = [pool.ask() for _ in range(3)]
    assert pool.pool.queued == 3
    for before, after in zip([first, *waiting], waiting, strict=False):
        assert after.connection is None
        pool.answer(before)
        assert after.connection is first.connection
        assert after.was_reused
    assert len(pool.dialler.dials) == 1


def test_a_dial_counts_as_a_connection(bench: Bench) -> None:
    pool = bench(max_connections=2)
    for _ in range(3):
        pool.ask()
    assert len(pool.dialler.pending) == 2
    assert pool.pool.queued == 1


@pytest.mark.parametrize("end", ["lost", "dial failed", "dial cancelled", "abandoned"])
def test_a_place_that_becomes_free_is_for_the_one_who_waited_longest(bench: Bench, end: str) -> None:
    pool = bench(max_connections=1)
    holder = pool.ask() if end.startswith("dial") else pool.connected()
    first, second = pool.ask(), pool.ask()
    if end == "lost":
        pool.lose(holder)
    elif end == "dial failed":
        pool.decide(FakeDial.fail)
    elif end == "dial cancelled":
        pool.run(lambda: pool.pool.cancel(holder))
    elif holder.connection is not None:
        pool.run(holder.connection.abandon)
    pool.decide(FakeDial.succeed)
    assert first.told == ["connected"]
    assert second.told == []


def test_whoever_comes_back_after_a_failed_dial_stands_behind_those_who_waited(bench: Bench) -> None:
    pool = bench(max_connections=1)

    class Again(Asker):
        def on_not_connected(self, fault: Fault, detail: str) -> None:
            super().on_not_connected(fault, detail)
            assert pool.pool.acquire(again) is None

    again = Asker()
    pool.run(lambda: None if pool.pool.acquire(Again()) is None else pytest.fail("no dial"))
    waiting = pool.ask()
    pool.decide(FakeDial.fail)
    pool.decide(FakeDial.succeed)
    assert waiting.told == ["connected"]
    assert again.told == []


def test_fresh_in_the_queue_gets_no_used_connection(bench: Bench) -> None:
    pool = bench(max_connections=1)
    first = pool.connected()
    user = pool.ask(fresh=True)
    pool.answer(first)
    pool.decide(FakeDial.succeed)
    assert user.connection is not None
    assert not user.connection.reused
    assert user.connection is not first.connection


def test_a_full_queue_refuses_and_says_how_full_it_is(bench: Bench) -> None:
    pool = bench(max_connections=1, max_queue=2)
    for _ in range(3):
        pool.ask()
    with pytest.raises(ConnectError, match=r"^1 connections are used and 2 requests wait$") as raised:
        pool.ask()
    assert raised.value.fault is Fault.SATURATED
    assert pool.pool.queued == 2


def test_without_a_queue_nobody_waits(bench: Bench) -> None:
    pool = bench(max_connections=1, max_queue=0)
    pool.connected()
    with pytest.raises(ConnectError):
        pool.ask()


def test_a_request_waits_no_longer_than_configured(bench: Bench) -> None:
    pool = bench(max_connections=1, queue_timeout=2.0)
    pool.connected()
    early = pool.ask()
    pool.loop.advance(1.0)
    late = pool.ask()
    pool.loop.advance(0.9)
    assert early.end == OPEN
    pool.loop.advance(0.2)
    assert (early.end, early.detail) == ("saturated", "no connection became free within 2 s")
    assert late.end == OPEN
    assert pool.pool.queued == 1


def test_whoever_was_served_in_time_is_not_told_that_it_was_not(bench: Bench) -> None:
    pool = bench(max_connections=1, queue_timeout=2.0)
    first = pool.connected()
    user = pool.ask()
    pool.answer(first)
    pool.loop.advance(3.0)
    assert user.told == ["connected"]


# -- who leaves


def test_who_leaves_the_queue_is_not_served(bench: Bench) -> None:
    pool = bench(max_connections=1, queue_timeout=2.0)
    first = pool.connected()
    leaver, user = pool.ask(), pool.ask()
    pool.run(lambda: pool.pool.cancel(leaver))
    pool.answer(first)
    assert user.connection is first.connection
    pool.loop.advance(3.0)
    assert leaver.told == []


def test_a_dial_ends_with_the_request_that_caused_it(bench: Bench) -> None:
    pool = bench()
    user = pool.ask()
    pool.run(lambda: pool.pool.cancel(user))
    assert pool.dialler.dials[0].decided.cancelled()
    assert user.told == []


def test_a_dial_that_is_cancelled_before_it_began_never_begins(bench: Bench) -> None:
    pool = bench()
    user = Asker()

    def come_and_go() -> None:
        pool.pool.acquire(user)
        pool.pool.cancel(user)

    pool.run(come_and_go)
    assert pool.dialler.dials == []
    assert user.told == []


@pytest.mark.parametrize("outcome", [FakeDial.succeed, FakeDial.fail, FakeDial.succeed_and_die])
def test_leaving_in_the_moment_in_which_the_dial_is_decided(
    bench: Bench, outcome: Callable[[FakeDial], None]
) -> None:
    pool = bench()
    user = pool.ask()
    dial = pool.dialler.dials[0]

    def both() -> None:
        outcome(dial)
        pool.pool.cancel(user)

    pool.run(both)
    assert user.told == []
    assert dial.transport.closed or outcome is not FakeDial.succeed
    assert pool.pool.connections == 0


def test_to_cancel_what_is_not_waiting_changes_nothing(bench: Bench) -> None:
    pool = bench()
    user = pool.connected()
    pool.run(lambda: pool.pool.cancel(user))
    pool.answer(user)
    assert user.end == WHOLE


# -- dials that come to nothing


@pytest.mark.parametrize("fault", [Fault.DNS, Fault.CONNECT, Fault.CONNECT_TIMEOUT, Fault.TLS])
def test_why_there_is_no_connection_is_told(bench: Bench, fault: Fault) -> None:
    pool = bench()
    user = pool.ask()
    pool.decide(lambda dial: dial.fail(fault))
    assert user.told == ["not connected"]
    assert (user.end, user.detail) == (fault.value, "no connection (Connection refused)")


@pytest.mark.parametrize(
    "outcome",
    [FakeDial.succeed_and_die, lambda dial: dial.succeed_with(b"HTTP/1.1 408 Request Timeout\r\n\r\n")],
    ids=["closed", "spoke first"],
)
def test_a_connection_that_is_dead_on_arrival_is_a_failure(
    bench: Bench, outcome: Callable[[FakeDial], None]
) -> None:
    pool = bench(max_connections=1)
    user, waiting = pool.ask(), pool.ask()
    pool.decide(outcome)
    assert user.told == ["not connected"]
    assert (user.end, user.detail) == (
        "connection_closed",
        "it closed the connection before a request was sent",
    )
    pool.decide(FakeDial.succeed)
    assert waiting.told == ["connected"]


# -- time


def test_an_unused_connection_is_closed_after_its_time(bench: Bench) -> None:
    pool = bench(idle_timeout=4.0)
    user = pool.connected()
    pool.loop.advance(10.0)
    assert pool.pool.connections == 1  # in use
    pool.answer(user)
    pool.loop.advance(3.9)
    assert pool.pool.connections == 1
    pool.loop.advance(0.3)  # the sweep comes every tenth of a second
    assert pool.pool.connections == 0
    assert pool.dialler.dials[0].transport.closed


def test_a_request_that_times_out_is_told_by_the_sweep(bench: Bench) -> None:
    pool = bench()
    user = pool.connected()
    connection = user.connection
    assert connection is not None
    connection.deadline_s = pool.loop.time() + 2.0
    pool.loop.advance(2.6)
    assert (user.end, user.detail) == ("timeout", "first_byte")
    assert pool.pool.connections == 0


def test_a_user_who_raises_does_not_stop_the_sweep(bench: Bench) -> None:
    pool = bench(idle_timeout=4.0)
    user, other = pool.connected(), pool.connected()
    user.end = "told already"  # makes the fake raise
    connection = user.connection
    assert connection is not None
    connection.deadline_s = pool.loop.time()
    pool.answer(other)
    pool.loop.advance(6.0)
    assert pool.pool.connections == 0
    assert len(pool.loop.errors) == 1
    pool.loop.errors.clear()


# -- the end of a pool


def test_a_retired_pool_serves_those_it_has_and_keeps_nothing(bench: Bench) -> None:
    pool = bench(max_connections=2)
    users = [pool.connected(), pool.connected()]
    waiting = pool.ask()
    pool.answer(users[0])
    pool.answer(waiting)
    pool.run(pool.pool.retire)
    assert pool.pool.connections == 1
    pool.answer(users[1])
    assert pool.pool.connections == 0


def test_a_closed_pool_fails_those_it_serves_and_forgets_those_who_wait(bench: Bench) -> None:
    pool = bench(max_connections=2)
    served = pool.connected()
    dialling, queued = pool.ask(), pool.ask()
    pool.run(pool.pool.close)
    pool.lose(served)
    assert served.end == "connection_closed"
    assert (dialling.told, queued.told) == ([], [])
    pool.loop.advance(10.0)
    assert queued.told == []
