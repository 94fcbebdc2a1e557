"""Every measurement, one after the other, and then the page.

    python bench/all.py [--peers DIR] [--again] [--quick]

About 25 minutes on a machine that does nothing else. A part that has been recorded for this commit is not
measured again, so an interrupted run goes on where it was; `--again` measures all. A part that misses a
bound is recorded like any other, told at the end, and makes this end with 1. `--quick` takes seconds
for each part and records nothing: to see that it works.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

from parts import results
from parts.processes import end_on_sigterm, run

PARTS: Final = ("micro", "ratio", "users", "peers", "growth")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="DIR", help="where bench/peers.py has installed them")
    parser.add_argument("--again", action="store_true", help="measure also what is recorded for this commit")
    parser.add_argument("--quick", action="store_true", help="a few seconds for each; records nothing")
    options = parser.parse_args()
    end_on_sigterm()
    commit = results.commit()
    missed = []
    for part in PARTS:
        if not (options.again or options.quick) and results.is_recorded(part, commit):
            print(f"== {part}: recorded for {commit}", flush=True)
            continue
        print(f"== {part}", flush=True)
        began_s = time.monotonic()
        command = [sys.executable, str(results.BENCH / f"{part}.py")]
        command += ["--quick"] * options.quick
        command += ["--peers", options.peers] if part == "peers" and options.peers else []
        if run(command):
            missed.append(part)
        print(f"== {part}: {time.monotonic() - began_s:.0f} s", flush=True)
    if not options.quick:
        run([sys.executable, str(results.BENCH / "render.py")])
    print(f"missed a bound, or failed: {', '.join(missed)}" if missed else "all within their bounds")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
