"""Writes the measured part of bench/README.md, and its plots, from the recorded results.

    python bench/render.py [--check]

What stands between the two markers is replaced; the same results make the same bytes. `--check` writes
nothing and ends with 1 where something is out of date.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from parts import results

BEGIN: Final = "<!-- measured: made by bench/render.py from bench/results -->"
END: Final = "<!-- /measured -->"
README: Final = results.BENCH / "README.md"
PLOTS: Final = results.BENCH / "plots"

_NOT_DRAWN: Final = re.compile("<!--.*?-->|<script.*?</script>", re.DOTALL)  # the date; scripts

Result = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown, numbers to the right."""
    lines = [[cell(value) for value in row] for row in rows]
    numeric = [all(re.match(r"[-\d]", line[column]) for line in lines) for column in range(len(head))]
    rule = ["---:" if right else "---" for right in numeric]
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(head), rule, *lines])


def cell(value: object) -> str:
    """A value in a table: numbers with three digits that matter, thousands with commas."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def origin(result: Result) -> str:
    """When it was measured, of what and how."""
    options = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in result["options"].items())
    return f"{result['date'][:10]}, commit `{result['commit']}`; {options}."


def where(recorded: Mapping[str, Result]) -> str:
    """The machines and versions, each with the parts that were measured there."""
    places: dict[str, list[str]] = {}
    for part, result in recorded.items():
        machine = result["machine"]
        versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
        computer = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
        place = f"{computer}, Linux {machine['kernel']}; {versions}"
        places.setdefault(place, []).append(f"`{part}.py`")
    return "\n".join(f"- {', '.join(parts)}: {place}." for place, parts in places.items())


def ratio(result: Result) -> str:
    """The promise, line by line."""
    rows = [
        [
            one["work"],
            f"**{one['value']:.2f}** {one['unit']}",
            f"{one['low']:.2f} to {one['high']:.2f}",
            f"<= {one['must']:g}",
            f"{one['aim']:g}",
            one["verdict"],
            ", ".join(f"{name.replace('_', ' ')} {cell(cost)}" for name, cost in one["costs"].items()),
        ]
        for one in result["data"]
    ]
    head = ["work", "measured", "95 % interval", "must", "aim", "verdict", "medians"]
    return f"## Beside nginx\n\n{origin(result)}\n\n{table(head, rows)}"


def users(result: Result) -> str:
    """What users see."""
    rows = []
    for scenario in result["data"]["scenarios"]:
        share = f"{scenario['generator_share']:.0%}"
        rows += [
            [
                scenario["scenario"],
                one["name"],
                one["per_s"],
                one["p50_ms"],
                one["p99_ms"],
                one["failures"],
                share,
            ]
            for one in scenario["requests"]
        ]
    head = ["scenario", "request", "a second", "p50, ms", "p99, ms", "failed", "generator, of a core"]
    text = f"## What users see\n\n{origin(result)}\n\n{table(head, rows)}"
    closed = result["data"].get("closed")
    if not closed:
        return text
    compared = [
        [title, f"{closed[name]['value']:.3f}", f"{closed[name]['low']:.3f} to {closed[name]['high']:.3f}"]
        for title, name in (
            ("mean response time, locust", "response_time"),
            ("CPU time a request, under locust", "cpu_under_locust"),
            ("CPU time a request, under wrk (judged)", "cpu_under_wrk"),
        )
    ]
    return (
        f"{text}\n\nBreaker, retries and fallback on against off, all well, by turns:"
        f" {closed['cpu_under_wrk']['verdict']}. Under locust, the generator used"
        f" {closed['generator_share']:.0%} of a core.\n\n{table(['', 'ratio', '95 % interval'], compared)}"
    )


def peers(result: Result) -> str:
    """Side by side."""
    floor = next((one["cpu_us"] for one in result["data"]["rows"] if one["name"] == "nginx"), None)
    rows = [
        [
            f"{one['name']} {one['version']}".strip(),
            one["cpu_us"],
            one["cpu_us"] / floor if floor else None,
            int(one["requests_per_s"]),
            int(one["p50_us"]),
            int(one["p99_us"]),
            int(one["single_p50_us"]),
            int(one["single_p99_us"]),
            one["memory_mib"],
            one["settings"],
        ]
        for one in result["data"]["rows"]
    ]
    head = [
        "",
        "CPU us a request",
        "x nginx",
        "requests/s",
        "p50, us",
        "p99, us",
        "p50 alone",
        "p99 alone",
        "MiB",
    ]
    skipped = "".join(f"\n\nSkipped: {name}: {why}" for name, why in result["data"]["skipped"].items())
    return f"## Beside others\n\n{origin(result)}\n\n{table([*head, 'settings'], rows)}{skipped}"


def micro(result: Result) -> str:
    """One call."""
    modules = [
        [one["module"], one["call"], one["pure_ns"], one["compiled_ns"], one["pure_ns"] / one["compiled_ns"]]
        for one in result["data"]["modules"]
    ]
    breakers = [[one["breaker"], one["ns"]] for one in result["data"]["breakers"]]
    return (
        f"## One call\n\n{origin(result)}\n\n"
        f"{table(['module', 'call', 'pure, ns', 'compiled, ns', 'gain'], modules)}\n\n"
        f"{table(['a breaker around nothing', 'ns'], breakers)}"
    )


def growth(result: Result) -> str:
    """Table and plots of each dimension."""
    parts = [f"## How cost grows\n\n{origin(result)}"]
    for dimension in result["data"]:
        curves = dimension["curves"]
        head = [dimension["axis"], *(f"{curve['who']}, {curve['unit']}" for curve in curves)]
        rows: list[list[object]] = [
            [size, *(float(curve["figures"][at]) for curve in curves)]
            for at, size in enumerate(dimension["sizes"])
        ]
        rows.append(["**exponent**", *(exponent(curve) for curve in curves)])
        plots = "\n".join(f"![{title}](plots/{name}.svg)" for name, title, _ in charts(dimension))
        parts.append(f"### {dimension['title']}\n\n{table(head, rows)}\n\n{plots}")
    return "\n\n".join(parts)


def exponent(curve: Mapping[str, Any]) -> str:
    """How steep a curve is, and how steep it may be."""
    if curve["exponent"] is None:
        return "-"
    allowed = "" if curve["allowed"] is None else f", at most {curve['allowed']:g}"
    verdict = ": **too steep**" if curve["too_steep"] else ""
    return f"{curve['exponent']:.2f}{allowed}{verdict}"


def charts(dimension: Mapping[str, Any]) -> Iterator[tuple[str, str, list[Mapping[str, Any]]]]:
    """A name, a title and the curves for each unit of a dimension."""
    units = dict.fromkeys(curve["unit"] for curve in dimension["curves"])
    for number, unit in enumerate(units, 1):
        curves = [curve for curve in dimension["curves"] if curve["unit"] == unit]
        yield f"{dimension['name']}-{number}", f"{dimension['title']}: {unit}", curves


def plot(name: str, title: str, dimension: Mapping[str, Any], curves: Sequence[Mapping[str, Any]]) -> str:
    """The chart as SVG: the sizes evenly spaced, since they grow by factors, and the costs on a log scale."""
    import pygal  # type: ignore[import-untyped]
    from pygal.style import CleanStyle  # type: ignore[import-untyped]

    chart = pygal.Line(
        title=title,
        x_title=dimension["axis"],
        logarithmic=True,
        width=720,
        height=360,
        js=(),
        style=CleanStyle,
        disable_xml_declaration=True,
    )
    chart.uuid = name  # by chance otherwise
    chart.x_labels = [f"{size:,}" for size in dimension["sizes"]]
    chart.y_labels = decades([figure for curve in curves for figure in curve["figures"] if figure > 0])
    for curve in curves:
        chart.add(curve["who"], [figure if figure > 0 else None for figure in curve["figures"]])
    drawn: str = chart.render(is_unicode=True)
    return f"{_NOT_DRAWN.sub('', drawn)}\n"


def decades(figures: Sequence[float]) -> list[float]:
    """The powers of ten around figures, all more than 0."""
    low, high = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


SECTIONS: Final = {"ratio": ratio, "users": users, "peers": peers, "micro": micro, "growth": growth}


def rendered(recorded: Mapping[str, Result]) -> dict[Path, str]:
    """What each file is to hold, by the results of the parts."""
    sections = [where(recorded)] if recorded else []
    sections += [section(recorded[part]) for part, section in SECTIONS.items() if part in recorded]
    files = {README: spliced(README.read_text(), "\n\n".join(sections))}
    for dimension in recorded["growth"]["data"] if "growth" in recorded else []:
        for name, title, curves in charts(dimension):
            files[PLOTS / f"{name}.svg"] = plot(name, title, dimension, curves)
    return files


def spliced(text: str, measured: str) -> str:
    """The text with something else between the markers.

    Raises:
        ValueError: It has not both of them, in this order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the text needs a line {BEGIN} and, below it, one {END}")
    return f"{before}{begin}\n\n{measured}\n\n{end}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only tell whether the files are up to date")
    options = parser.parse_args()
    recorded = {part: result for part in SECTIONS if (result := results.load(part))}
    files = rendered(recorded)
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(results.BENCH.parent)}: {'out of date' if options.check else 'written'}")
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files[path])
    return int(options.check and bool(stale))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ModuleNotFoundError as error:
        sys.exit(f"bench/render.py: {error}: pip install -e '.[bench]'")
