"""Coverage-guided fuzzing of the client side, with the check of tests/support/oracle.py. Not run by pytest.

    pip install atheris
    python tests/fuzz/fuzz_requests.py -max_total_time=600 [CORPUS_FOLDER]

The first bytes of an input say where it is split, the rest is what the client sends. An input that fails is
written to a file `crash-…`; give that file as the argument to see it again. Options are those of libFuzzer
(https://llvm.org/docs/LibFuzzer.html#options).
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found]

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

with atheris.instrument_imports(include=["gateway.server"]):
    import oracle

CUTS = 3


def check(data: bytes) -> None:
    """One input: a byte for each cut, then the requests."""
    oracle.check(data[CUTS:], list(data[:CUTS]))


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
