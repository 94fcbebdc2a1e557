"""Writes gateway.json, the Grafana dashboard, out of the table below: `python deploy/grafana/make.py`."""

from __future__ import annotations

import json
from pathlib import Path


def _quantile(q: float, metric: str) -> str:
    return f"histogram_quantile({q}, sum by (provider, le) (rate({metric}_bucket[1m])))"


# Title, unit, width of 24, then expressions with their legends.
PANELS: list[tuple[str, str, int, list[tuple[str, str]]]] = [
    (
        "Circuits (0 closed, 1 half-open, 2 open)",
        "short",
        8,
        [("max by (provider) (gateway_circuit_state)", "{{provider}}")],
    ),
    (
        "Requests a second",
        "reqps",
        8,
        [("sum by (provider) (rate(gateway_requests_total[1m]))", "{{provider}}")],
    ),
    (
        "Share of 5xx",
        "percentunit",
        8,
        [
            (
                'sum(rate(gateway_requests_total{code=~"5.."}[1m])) / sum(rate(gateway_requests_total[1m]))'
                " or 0 * sum(rate(gateway_requests_total[1m]))",
                "5xx",
            )
        ],
    ),
    (
        "Time to first byte",
        "s",
        12,
        [
            (
                _quantile(q, "gateway_time_to_first_byte_seconds"),
                f"p{int(q * 100)} {{{{provider}}}}",
            )
            for q in (0.5, 0.99)
        ],
    ),
    (
        "Duration",
        "s",
        12,
        [
            (
                _quantile(q, "gateway_request_duration_seconds"),
                f"p{int(q * 100)} {{{{provider}}}}",
            )
            for q in (0.5, 0.99)
        ],
    ),
    (
        "Retries a second",
        "ops",
        8,
        [("sum by (provider, reason) (rate(gateway_retries_total[1m]))", "{{provider}} {{reason}}")],
    ),
    (
        "Fallbacks a second",
        "ops",
        8,
        [("sum by (from, to, reason) (rate(gateway_fallbacks_total[1m]))", "{{from}} to {{to}}: {{reason}}")],
    ),
    (
        "Attempts a second",
        "ops",
        8,
        [
            (
                "sum by (provider, outcome) (rate(gateway_upstream_attempts_total[1m]))",
                "{{provider}} {{outcome}}",
            )
        ],
    ),
    (
        "Circuit transitions",
        "short",
        8,
        [
            (
                "sum by (provider, to_state) (increase(gateway_circuit_transitions_total[1m]))",
                "{{provider}} to {{to_state}}",
            )
        ],
    ),
    (
        "Tokens a second",
        "short",
        8,
        [("sum by (provider, type) (rate(gateway_tokens_total[1m]))", "{{provider}} {{type}}")],
    ),
    (
        "Cost, US dollars an hour",
        "currencyUSD",
        8,
        [("sum by (provider, model) (rate(gateway_cost_usd_total[5m])) * 3600", "{{provider}} {{model}}")],
    ),
    (
        "The gateway's own share",
        "s",
        8,
        [
            (
                f"histogram_quantile({q}, sum by (le) (rate(gateway_overhead_seconds_bucket[1m])))",
                f"p{int(q * 100)}",
            )
            for q in (0.5, 0.99)
        ],
    ),
    ("Requests in flight", "short", 8, [("sum(gateway_inflight_requests)", "in flight")]),
    ("Open connections", "short", 8, [("sum by (side) (gateway_open_connections)", "{{side}}")]),
]


def dashboard() -> dict[str, object]:
    """The dashboard as Grafana imports it (schema version 39, Grafana 10 and later)."""
    panels: list[dict[str, object]] = []
    x = y = 0
    for number, (title, unit, width, queries) in enumerate(PANELS, 1):
        if x + width > 24:
            x, y = 0, y + 8
        panels.append(
            {
                "id": number,
                "type": "timeseries",
                "title": title,
                "datasource": {"type": "prometheus", "uid": "${datasource}"},
                "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                "gridPos": {"h": 8, "w": width, "x": x, "y": y},
                "targets": [
                    {"refId": chr(65 + index), "expr": expression, "legendFormat": legend}
                    for index, (expression, legend) in enumerate(queries)
                ],
            }
        )
        x += width
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": "llm-gateway",
        "title": "LLM gateway",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


if __name__ == "__main__":
    path = Path(__file__).with_name("gateway.json")
    path.write_text(json.dumps(dashboard(), indent=1) + "\n")
