"""The disturbances of the storm: providers misbehave, die and return, workers are killed, files reloaded."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter

import proc
from load import Load
from provider_process import Provider
from stand import Stand

# Left out is what no gateway can tell from a right answer: a stream that ends cleanly without [DONE], and a
# second response that comes when the connection is already busy with the next request.
_FAULTS = """
    ok 500 503;retry_after=1 429;retry_after=1 408 400 early;status=413
    reset close stall stale stale;reset=1 refuse
    reset_in_head garbage nul_header cl_te two_cl endless_head informational;n=3 switching
    cut;after=3 cut;after=3;part=1 reset_body;after=5;part=1 stall_body;after=3 malformed_chunk;after=4
    short long unasked close_delimited http10
    error_event error_event;after=2 empty_stream comment_only;n=3
"""
FAULTS = tuple(_FAULTS.split())
WORKERS = 2
DISTURBANCES = ("switch_faults", "kill_providers", "kill_workers", "reload")


class Havoc:
    """The disturbances. Each is a coroutine that goes on until it is cancelled; `counts` says how often."""

    def __init__(self, place: Stand, load: Load, pace_s: float, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._stand = place
        self._load = load
        self._pace_s = pace_s
        self._chance = chance

    async def switch_faults(self) -> None:
        while True:
            await self._pause(1.0)
            provider = self._any_provider()
            # Half of the time nothing is wrong, or no stream would live to be broken by the rest.
            fault = "" if self._chance.random() < 0.5 else self._chance.choice(FAULTS)
            provider.tell(f"fault {fault}")
            self.counts["faults switched"] += 1

    async def kill_providers(self) -> None:
        while True:
            await self._pause(4.0)
            provider = self._any_provider()
            provider.tell("die")
            try:
                await self._pause(1.5)
            finally:
                provider.tell("revive")
            self.counts["providers died"] += 1

    async def kill_workers(self) -> None:
        while True:
            await self._pause(8.0)
            workers = self._stand.workers()
            if len(workers) == WORKERS:
                # The first is spared: it goes through the whole storm, and its memory is judged afterwards.
                self._kill(workers[-1])
                self.counts["workers killed"] += 1

    def _kill(self, pid: int) -> None:
        # Nothing else runs here meanwhile, and the process itself stands still: who is connected to it when
        # it is looked at loses the connection, and nobody else does.
        proc.stop(pid)
        self._load.kill(proc.clients_of(pid, self._stand.port))
        proc.kill(pid)

    async def reload(self) -> None:
        for number in itertools.count():
            await self._pause(3.0)
            # Every other time one provider differs, whose connections must then end with their requests.
            idle_ms = 1500 + number % 2
            self._stand.configure(self._stand.template.replace("idle: 1500ms", f"idle: {idle_ms}ms", 1))
            self.counts["reloads"] += 1

    def calm(self) -> None:
        """From now on nothing is wrong."""
        for provider in self._stand.providers.values():
            provider.tell("fault")

    def _any_provider(self) -> Provider:
        return self._chance.choice(list(self._stand.providers.values()))

    async def _pause(self, times: float) -> None:
        await asyncio.sleep(self._pace_s * times * self._chance.uniform(0.5, 1.5))
