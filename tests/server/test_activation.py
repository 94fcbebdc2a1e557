"""Sockets from a service manager: who takes them, by which name, and what is refused."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from gateway.server.activation import NOTHING, inherited
from gateway.server.listener import ListenError

PID = 4242
FIRST = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 4096) - 16
"""Where the descriptors begin here: lower ones may belong to somebody else in a test."""

Pass = Callable[[socket.socket], int]


@pytest.fixture
def given() -> Iterator[Pass]:
    """Puts a copy of a socket where the next inherited descriptor is."""
    used: list[int] = []

    def give(sock: socket.socket) -> int:
        used.append(os.dup2(sock.fileno(), FIRST + len(used)))
        sock.close()
        return used[-1]

    yield give
    for descriptor in used:
        try:
            os.close(descriptor)
        except OSError:
            continue  # the gateway's own by now, and closed


def tcp(
    *, listen: bool = True, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM
) -> socket.socket:
    sock = socket.socket(family, kind)
    if family == socket.AF_INET:
        sock.bind(("127.0.0.1", 0))
    if listen:
        sock.listen()
    return sock


def environment(count: object, names: str | None = None, pid: int = PID) -> dict[str, str]:
    environ = {"LISTEN_PID": str(pid), "LISTEN_FDS": str(count), "PATH": "/bin"}
    return environ if names is None else {**environ, "LISTEN_FDNAMES": names}


def test_without_a_manager_there_is_nothing() -> None:
    assert inherited({"PATH": "/bin"}, PID, FIRST) == NOTHING


def test_what_is_meant_for_another_process_is_left_alone(given: Pass) -> None:
    descriptor = given(tcp())
    assert inherited(environment(1, pid=PID + 1), PID, FIRST) == NOTHING
    os.fstat(descriptor)


def test_sockets_are_told_apart_by_name(given: Pass) -> None:
    descriptors = [given(tcp()) for _ in range(3)]
    with ExitStack() as stack:
        found = inherited(environment(3, "http:admin:gateway.socket"), PID, FIRST)
        for sock in (*found.public, *found.admin):
            stack.enter_context(sock)
            assert not sock.getblocking()
            assert not sock.get_inheritable()
        assert [sock.fileno() for sock in found.public] == [descriptors[0], descriptors[2]]
        assert [sock.fileno() for sock in found.admin] == [descriptors[1]]


@pytest.mark.parametrize("names", [None, "", "one"])
def test_sockets_without_a_name_are_public(given: Pass, names: str | None) -> None:
    for _ in range(2):
        given(tcp())
    with ExitStack() as stack:
        found = inherited(environment(2, names), PID, FIRST)
        for sock in found.public:
            stack.enter_context(sock)
        assert (len(found.public), len(found.admin)) == (2, 0)


def test_sockets_for_the_operator_alone_are_refused(given: Pass) -> None:
    given(tcp())
    with pytest.raises(ListenError, match="none is left for the clients"):
        inherited(environment(1, "admin"), PID, FIRST)


@pytest.mark.parametrize("pid", [PID, PID + 1])
def test_the_promise_is_taken_out_of_the_environment(pid: int) -> None:
    environ = environment(0, "x", pid=pid)
    inherited(environ, PID, FIRST)
    assert environ == {"PATH": "/bin"}


@pytest.mark.parametrize("count", ["", "-1", "x", "65", "\u0661", "1e3"])
def test_count_that_is_none_is_refused(count: str) -> None:
    with pytest.raises(ListenError, match=r"LISTEN_FDS is .* not a number of sockets"):
        inherited(environment(count), PID, FIRST)


def test_descriptor_that_is_not_open_is_refused() -> None:
    with pytest.raises(ListenError, match=rf"descriptor {FIRST} .*: Bad file descriptor"):
        inherited(environment(1), PID, FIRST)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: tcp(listen=False), "does not accept connections"),
        (lambda: tcp(listen=False, kind=socket.SOCK_DGRAM), "does not accept connections"),
        (
            lambda: tcp(listen=False, family=socket.AF_NETLINK, kind=socket.SOCK_RAW),
            "neither a TCP nor a Unix",
        ),
    ],
)
def test_socket_of_another_kind_is_refused(
    given: Pass, make: Callable[[], socket.socket], problem: str
) -> None:
    descriptor = given(make())
    with pytest.raises(ListenError, match=problem):
        inherited(environment(1), PID, FIRST)
    os.fstat(descriptor)
