"""What a run found out: figures for a person, and whatever should not have been."""

from __future__ import annotations

from typing import Final

MAX_SHOWN: Final = 20


class Report:
    """Figures in the order in which they were noted, and `violations`; as text a small table."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._lines: list[tuple[str, str]] = []

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self._lines)
        lines = [f"{name:<{width}}  {value:>12}" for name, value in self._lines]
        lines += (f"VIOLATION: {violation}" for violation in self.violations[:MAX_SHOWN])
        if len(self.violations) > MAX_SHOWN:
            lines.append(f"and {len(self.violations) - MAX_SHOWN} more")
        return "\n".join(lines)

    def note(self, name: str, value: object) -> None:
        """Keep a figure; a float is shown with one digit after the point."""
        self._lines.append((name, f"{value:.1f}" if isinstance(value, float) else str(value)))

    def expect(self, name: str, value: object, rule: str, *, holds: bool) -> None:
        """Keep a figure, and a violation of `rule` where it does not hold."""
        self.note(name, value)
        if not holds:
            self.violations.append(f"{name}: {value} ({rule})")
