"""What the tests of the configuration share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from gateway.config import ConfigError, loads


@pytest.fixture
def problems() -> Callable[..., dict[str, str]]:
    """What is wrong with a text: messages by path, in the order told; empty where nothing is."""

    def problems_of(text: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        try:
            loads(text, "test.yaml", environ or {})
        except ConfigError as error:
            return {problem.path: problem.message for problem in error.problems}
        return {}

    return problems_of
