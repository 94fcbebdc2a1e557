"""How thoroughly the property tests here look: for seconds, or with HYPOTHESIS_PROFILE=long for hours."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("short", deadline=None, max_examples=200, stateful_step_count=40)
settings.register_profile("long", deadline=None, max_examples=200_000, stateful_step_count=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
