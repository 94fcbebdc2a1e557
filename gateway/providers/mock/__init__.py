"""The embedded mock provider: a deterministic imitation of the OpenAI API that can misbehave on demand.

It answers where there is no key (the embedded default, ``gateway demo``); in tests it is the broken provider.

* ``faults`` is the grammar of what may go wrong, ``server`` and ``connection`` serve it all.
* ``endpoints``, ``chat``, ``responses`` and ``media`` turn a `Call` into an `Answer`, without I/O.
* ``alter`` makes an answer say the wrong thing in correct HTTP; ``script`` turns an answer into steps on the
  wire, in correct HTTP or not.
"""

from gateway.providers.mock.connection import MockRequest
from gateway.providers.mock.faults import Fault
from gateway.providers.mock.server import MockServer

__all__ = ["Fault", "MockRequest", "MockServer"]
