// What went through the gateway: totals, curves, fallbacks, retries, models, and the circuits' journal.

import { chart } from "./charts.js";
import { h, svg } from "./dom.js";
import { ago, count, duration, latency, moment, percentiles, percent, rate, usd, words } from "./format.js";
import { failed, pair } from "./status.js";

const MAX_CHANGES = 20;

/** The numbers of the chosen window, over all providers. */
export function totals(stats, window) {
  return h(
    "div",
    { class: "panel" },
    h("dl", { class: "numbers wide" }, pairs(stats, window)),
    h("p", { class: "note" }, `What ended ${window.span}; the numbers cover ${duration(window.seconds)}.`),
  );
}

function pairs(stats, { total, refused, overhead_s: overhead }) {
  const { client, upstream } = stats.open_connections;
  const share = total.requests ? ` (${percent(failed(total), total.requests)})` : "";
  return [
    pair("Requests", `${count(total.requests)} (${rate(total.requests_per_s)})`),
    pair("Failed (429, 5xx, 504)", `${count(failed(total))}${share}`),
    pair("Refused by the gateway", count(refused)),
    pair("Clients that left (499)", count(total.errors["499"])),
    pair("Latency p50 / p99", percentiles(total.latency_s)),
    pair("First byte p50 / p99", percentiles(total.first_byte_s)),
    pair("Gateway's own part p50 / p99", percentiles(overhead)),
    pair("Tokens", `${count(total.tokens.input)} in, ${count(total.tokens.output)} out`),
    pair("Cost", total.cost_usd === null ? "no prices set" : usd(total.cost_usd)),
    pair("In flight now", count(stats.inflight_requests)),
    pair("Connections now", `${count(client)} from clients, ${count(upstream)} to providers`),
  ];
}

/** The last five minutes as curves. */
export function charts({ series }, now) {
  const { total } = series;
  const at = series.at.map((time) => Date.parse(time));
  const empty = at.length
    ? "No request in the last 5 minutes."
    : `The first point comes ${duration(series.step_s)} after the start.`;
  const curves = (...list) => list.map(([name, values, kind]) => ({ name, values, kind }));
  const latencies = (one) => curves(["p50", one.p50_s, "first"], ["p99", one.p99_s, "second"]);
  const drawn = (list) =>
    h(
      "div",
      { class: "charts" },
      list.map((one) => chart({ ...one, at, now, empty })),
    );
  return [
    drawn([
      {
        title: "Requests",
        curves: curves(
          ["answered", total.requests_per_s, "first"],
          ["failed", total.errors_per_s, "trouble"],
        ),
        format: rate,
      },
      { title: "Latency", curves: latencies(total), format: latency },
      { title: "Tokens", curves: curves(["in and out", total.tokens_per_s, "first"]), format: rate },
    ]),
    series.providers.length > 1 &&
      drawn(
        series.providers.map((one) => ({
          title: `Latency, ${one.provider}`,
          curves: latencies(one),
          format: latency,
        })),
      ),
  ];
}

/** Who answered in whose place, and why. */
export function fallbacks(window) {
  const rows = window.providers.flatMap(({ provider, fallbacks_out: out }) =>
    out.map((one) => ({ provider, ...one })),
  );
  if (!rows.length) return empty(`No request went to a fallback ${window.span}.`);
  const most = Math.max(...rows.map((row) => row.count));
  return table(
    "Requests that another provider was asked for",
    ["From", "To", "Reason", "Requests"],
    rows
      .sort((one, other) => other.count - one.count)
      .map((row) => [row.provider, `→ ${row.peer}`, words(row.reason), bar(row.count, most)]),
  );
}

/** Further attempts at the same provider, by reason. */
export function retries(window) {
  const rows = window.providers.flatMap(({ provider, retries: reasons }) =>
    Object.entries(reasons).map(([reason, times]) => ({ provider, reason, times })),
  );
  if (!rows.length) return empty(`No attempt was repeated ${window.span}.`);
  const most = Math.max(...rows.map((row) => row.times));
  return table(
    "Attempts repeated at the same provider",
    ["Provider", "Reason", "Retries"],
    rows
      .sort((one, other) => other.times - one.times)
      .map((row) => [row.provider, words(row.reason), bar(row.times, most)]),
  );
}

/** What each model does at each provider. */
export function models(window) {
  const rows = window.providers.flatMap(({ provider, models: list }) =>
    list.map((model) => ({ provider, ...model })),
  );
  if (!rows.length)
    return empty(`No request ${window.span}. Send one to /v1/chat/completions and it shows here.`);
  return table(
    "Requests by model and the provider that answered",
    [
      "Model",
      "Provider",
      "Requests",
      "Failed",
      "Latency p50 / p99",
      "First byte p50 / p99",
      "Tokens in",
      "Tokens out",
      "Cost",
    ],
    rows
      .sort((one, other) => failed(other) - failed(one) || other.requests - one.requests)
      .map((row) => [
        row.model,
        row.provider,
        count(row.requests),
        percent(failed(row), row.requests),
        percentiles(row.latency_s),
        percentiles(row.first_byte_s),
        count(row.tokens.input),
        count(row.tokens.output),
        usd(row.cost_usd),
      ]),
  );
}

/** The last changes of all circuits, newest first. */
export function journal(stats, now) {
  const changes = stats.providers
    .flatMap(({ name, transitions }) =>
      transitions.map((change) => ({ name, ...change, at: Date.parse(change.at) })),
    )
    .sort((one, other) => other.at - one.at)
    .slice(0, MAX_CHANGES);
  if (!changes.length) return empty("No circuit has changed since the start.");
  return table(
    "The last changes of all circuits, newest first",
    ["When", "Provider", "Change", "Reason", "Failures in a row"],
    changes.map((change) => [
      [moment(change.at), " ", h("span", { class: "muted" }, ago(change.at, now))],
      change.name,
      `${change.from} → ${change.to}`,
      change.from === "open" ? "probe due" : words(change.reason),
      count(change.failures),
    ]),
  );
}

const empty = (text) => h("p", { class: "panel empty" }, text);

const bar = (value, most) => [
  count(value),
  svg(
    "svg",
    { class: "bar", viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { width: (100 * value) / most, height: 1 }),
  ),
];

// On a narrow screen a row becomes a block (panels.css). The roles keep it a table for those who hear it.
function table(caption, titles, rows) {
  return h(
    "div",
    { class: "panel" },
    h(
      "table",
      { role: "table" },
      h("caption", {}, caption),
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          titles.map((title) => h("th", { role: "columnheader", scope: "col" }, title)),
        ),
      ),
      h(
        "tbody",
        { role: "rowgroup" },
        rows.map((cells) =>
          h(
            "tr",
            { role: "row" },
            cells.map((cell, index) =>
              h("td", { role: "cell", "data-title": titles[index] }, h("div", {}, cell)),
            ),
          ),
        ),
      ),
    ),
  );
}
