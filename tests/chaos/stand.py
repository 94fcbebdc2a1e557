"""What is tested, each part in a process of its own: a gateway, and providers that can be told to fail."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import proc
from provider_process import Provider

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from family import Served, served


class Stand:
    """A gateway with the configuration `template`, in which `{a}` stands for the URL of provider `a`."""

    def __init__(self, template: str, providers: dict[str, Provider], config: Path, gateway: Served) -> None:
        self.template = template
        self.providers = providers
        self.gateway = gateway
        self._config = config

    @property
    def port(self) -> int:
        return int(self.gateway.url.rpartition(":")[2])

    def workers(self) -> list[int]:
        """The processes that serve now."""
        return [pid for pid in self.gateway.worker_pids if proc.is_alive(pid)]

    def processes(self) -> list[int]:
        """All processes of the gateway; with several workers the supervisor is the first."""
        return list(dict.fromkeys([self.gateway.process.pid, *self.workers()]))

    def configure(self, template: str) -> None:
        """Write another configuration and have it loaded."""
        _write(self._config, template, self.providers)
        self.gateway.signal(signal.SIGHUP)

    def circuits(self) -> dict[str, Any]:
        """The state of each provider's circuit."""
        return {
            provider["name"]: provider["circuit_state"]
            for provider in self.gateway.get("/health")["provider_health"]
        }


@contextmanager
def stand(template: str, *names: str) -> Iterator[Stand]:
    """A stand with providers of these names, for as long as the block runs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="gateway-chaos-")))
        providers: dict[str, Provider] = {}
        for name in names:
            providers[name] = provider = Provider(name)
            stack.callback(provider.end)
        config = folder / "gateway.yaml"
        _write(config, template, providers)
        gateway = stack.enter_context(served(config))
        yield Stand(template, providers, config, gateway)


def _write(config: Path, template: str, providers: dict[str, Provider]) -> None:
    for provider in providers.values():
        template = template.replace(f"{{{provider.name}}}", provider.url)
    config.write_text(template)
