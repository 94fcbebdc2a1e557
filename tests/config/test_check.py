"""What several settings must agree on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import (
    Admin,
    Config,
    Limits,
    Mock,
    Model,
    Provider,
    Retry,
    Secret,
    Server,
    Tls,
    UpstreamTimeouts,
    check,
)


def mock(**settings: object) -> Provider:
    return Provider(format="mock", **settings)  # type: ignore[arg-type]


def found(config: Config) -> dict[str, str]:
    return {problem.path: problem.message for problem in check(config)}


def with_provider(**settings: object) -> Config:
    return Config(providers={"a": mock(**settings)})


def chain(**fallbacks: str | None) -> Config:
    return Config(providers={name: mock(fallback_provider=fallback) for name, fallback in fallbacks.items()})


def test_a_provider_is_enough() -> None:
    assert check(with_provider()) == []


def test_a_provider_is_needed() -> None:
    assert found(Config()) == {
        "providers": "there is none (name at least one, such as `local: {format: mock}`)"
    }


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (chain(a="b", b="c", c=None), {}),
        (chain(a="c", b="c", c=None), {}),
        (chain(a="a"), {"a": "names itself: a -> a"}),
        (chain(a="b", b="a"), {"a": "forms a cycle: a -> b -> a"}),
        (chain(a="b", b="c", c="d", d="a"), {"a": "forms a cycle: a -> b -> c -> d -> a"}),
        (chain(x="b", a="b", b="a"), {"b": "forms a cycle: b -> a -> b"}),
        (chain(x="y", y="a", a="a"), {"a": "names itself: a -> a"}),
        (
            chain(a="b", b="a", c="c", d="e", e="d", f="a"),
            {
                "a": "forms a cycle: a -> b -> a",
                "c": "names itself: c -> c",
                "d": "forms a cycle: d -> e -> d",
            },
        ),
    ],
)
def test_a_chain_of_fallbacks_must_end(config: Config, expected: dict[str, str]) -> None:
    rule = " (a chain of fallbacks must end in a provider without one)"
    assert found(config) == {
        f"providers.{name}.fallback_provider": message + rule for name, message in expected.items()
    }


def test_a_long_cycle_is_found_once() -> None:
    size = 2000
    fallbacks = {f"p{number}": f"p{(number + 1) % size}" for number in range(size)}
    assert list(found(chain(**fallbacks))) == ["providers.p0.fallback_provider"]


def test_names_of_providers_must_exist() -> None:
    config = Config(
        providers={
            "plano": mock(fallback_provider="opneai"),
            "openai": mock(),
            "a.b": mock(fallback_provider="x"),
        },
        models={"gpt-*": Model(provider="zzz"), "ok": Model(provider="plano")},
        default_provider="plan",
    )
    assert found(config) == {
        "providers.plano.fallback_provider": '"opneai" is not a provider (did you mean "openai"?)',
        'providers."a.b".fallback_provider': '"x" is not a provider (use one of plano, openai, a.b)',
        'models."gpt-*".provider': '"zzz" is not a provider (use one of plano, openai, a.b)',
        "default_provider": '"plan" is not a provider (did you mean "plano"?)',
    }


@pytest.mark.parametrize(
    ("provider", "name", "message"),
    [
        (Provider(format="openai"), "base_url", 'is required where format is openai (use "https://host" or'),
        (Provider(format="gemini"), "base_url", "is required where format is gemini"),
        (mock(api_version="1"), "api_version", "is for format azure, and format is mock (leave it out)"),
        (
            Provider(
                format="openai",
                base_url="http://h",
                mock=Mock(),
            ),
            "mock",
            "is for format mock, and format is openai (leave it out)",
        ),
        (
            mock(headers={"X-A": "1", "x-a": "2"}),
            "headers.x-a",
            'is the same field as "X-A" (leave one of them',
        ),
        (
            mock(retry=Retry(base_delay=31.0)),
            "retry.base_delay",
            "31 is more than max_delay, which is 30 (lower",
        ),
        (mock(retry=Retry(base_delay=0.5, max_delay=0.25)), "retry.base_delay", "0.5 is more than max_delay"),
        (
            mock(timeouts=UpstreamTimeouts(first_byte=601.0)),
            "timeouts.first_byte",
            "601 is more than total, which",
        ),
        (
            mock(timeouts=UpstreamTimeouts(connect=10.0, total=9.0)),
            "timeouts.connect",
            "10 is more than total, w",
        ),
        (
            Provider(format="anthropic", base_url="http://h", responses="native"),
            "responses",
            "cannot be native where format is anthropic (leave it out: it is chat)",
        ),
        (
            Provider(format="anthropic", base_url="http://h", messages="chat"),
            "messages",
            "cannot be chat where format is anthropic (leave it out: it is native)",
        ),
        (
            Provider(format="gemini", base_url="http://h", messages="native"),
            "messages",
            "cannot be native where format is gemini (leave it out: it is chat)",
        ),
        (
            mock(api_key=Secret("one"), api_keys=(Secret("two"),)),
            "api_keys",
            "is set, and api_key is too (leave one of them out)",
        ),
        (
            mock(api_keys=(Secret("one"), Secret("two"), Secret("one"))),
            "api_keys[2]",
            "is the same key as providers.a.api_keys[0] (leave it out)",
        ),
        (mock(ca_file="/no/such.pem"), "ca_file", '"/no/such.pem" is not a file'),
    ],
)
def test_a_provider_that_contradicts_itself(provider: Provider, name: str, message: str) -> None:
    problems = found(Config(providers={"a": provider}))
    assert list(problems) == [f"providers.a.{name}"]
    assert problems[f"providers.a.{name}"].startswith(message)


@pytest.mark.parametrize(
    "provider",
    [
        Provider(format="azure", base_url="https://h", api_version="2024-10-21"),
        mock(timeouts=UpstreamTimeouts(total=3.0)),
        mock(timeouts=UpstreamTimeouts(first_byte=3.0, total=3.0)),
        mock(retry=Retry(max_delay=0.1)),
        mock(retry=Retry(base_delay=0.0, max_delay=0.0)),
        mock(headers={"X-A": "1", "X-B": "1"}),
        mock(api_keys=(Secret("one"), Secret("two"))),
        Provider(format="openai", base_url="https://h", responses="chat", messages="native"),
        Provider(format="azure", base_url="https://h", responses="chat", messages="chat"),
    ],
)
def test_a_provider_that_does_not(provider: Provider) -> None:
    assert found(Config(providers={"a": provider})) == {}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(max_body=1 << 30), ["server.limits.max_body"]),
        (Limits(max_buffered=1 << 20), []),
        (Limits(max_body=1 << 20, max_buffered=1 << 19), ["server.limits.max_body"]),
        (Limits(max_body=1 << 20, max_buffered=1 << 20), []),
    ],
)
def test_a_body_must_fit_into_what_is_buffered(limits: Limits, expected: list[str]) -> None:
    assert list(found(Config(server=Server(limits=limits), providers={"a": mock()}))) == expected


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (Server(admin=Admin()), None),
        (Server(admin=Admin(port=4001)), None),
        (Server(admin=Admin(host="10.0.0.1")), None),
        (Server(port=0, admin=Admin(port=0)), None),
        (Server(unix="/run/s", admin=Admin(port=4000)), None),
        (Server(admin=Admin(port=4000)), "port"),
        (Server(admin=Admin(host="127.0.0.1")), "host"),
        (Server(admin=Admin(host="127.0.0.1", port=4000)), "port"),
        (Server(host="0.0.0.0", admin=Admin(host="127.0.0.1")), "host"),
        (Server(admin=Admin(host="::", port=4000)), "port"),
    ],
)
def test_the_pages_need_an_address_of_their_own(server: Server, expected: str | None) -> None:
    paths = list(found(Config(server=server, providers={"a": mock()})))
    assert paths == ([] if expected is None else [f"server.admin.{expected}"])


def test_certificates_must_exist(tmp_path: Path) -> None:
    there = tmp_path / "cert.pem"
    there.touch()
    config = Config(server=Server(tls=Tls(cert=str(there), key=str(tmp_path))), providers={"a": mock()})
    problems = found(config)
    assert list(problems) == ["server.tls.key"]
    assert problems["server.tls.key"].startswith(f'"{tmp_path}" is not a file')
