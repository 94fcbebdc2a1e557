"""Builds the compiled part: each module in `COMPILED_MODULES` is Python that Cython turns into an extension.

The sources in `_speedups/` are packaged as `gateway._speedups` too, where they are the fallback: an install
without a C compiler succeeds and runs them interpreted. With GATEWAY_REQUIRE_SPEEDUPS=1 it fails instead.
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

COMPILED_MODULES = ("backoff", "breaker", "heads", "tally")
"""`_speedups/NAME.py` becomes `gateway._speedups.NAME_c`; bench/micro.py measures what each gains."""

REQUIRE_SPEEDUPS = os.environ.get("GATEWAY_REQUIRE_SPEEDUPS", "") not in ("", "0")


def extensions() -> list[Extension]:
    """Return what is to be compiled, optional unless the environment requires it."""
    modules = cythonize(
        [Extension(f"gateway._speedups.{name}_c", [f"_speedups/{name}.py"]) for name in COMPILED_MODULES],
        build_dir="build/cython",
        language_level=3,
    )
    for module in modules:
        module.optional = not REQUIRE_SPEEDUPS  # here, because cythonize() drops what its input says
    return modules


setup(
    # gateway/_speedups is a link to _speedups, for type checkers and for `python -m gateway` in a checkout.
    # It is excluded so that the package is not found twice; a source archive does not hold it.
    packages=[
        *find_packages(include=["gateway", "gateway.*"], exclude=["gateway._speedups"]),
        "gateway._speedups",
    ],
    package_dir={"gateway._speedups": "_speedups"},
    ext_modules=extensions(),
)
