// What is wrong and what is being done about it, in words: the first thing that the page says.

import { h } from "./dom.js";
import { ago, count, duration, percentiles, moment, NONE, percent, rate, words } from "./format.js";
import { timeline } from "./charts.js";

const OVERALL = { healthy: "Healthy", degraded: "Degraded", unhealthy: "Unhealthy" };
const CIRCUITS = {
  closed: "Circuit closed",
  "half-open": "Circuit half-open",
  open: "Circuit open",
  none: "No breaker",
};
const ALL = ["", "The provider can be asked.", "Both providers can be asked."];
const GRAVITY = { bad: 0, warning: 1, good: 2 };
const MARKS = { good: "✓", warning: "▲", bad: "✕" };

const stateOf = (provider) => provider.circuit_state ?? "none";

/** Requests whose clients got an error that is not of their own making. */
export const failed = ({ errors }) => errors["429"] + errors["5xx"] + errors["504"];

const mark = (kind) => h("span", { class: `mark ${kind}`, "aria-hidden": "true" }, MARKS[kind]);

/** The state of the whole, what it comes from, and what follows. */
export function headline(stats, now, lost) {
  const kind = { healthy: "good", degraded: "warning", unhealthy: "bad" }[stats.status];
  return h(
    "div",
    { class: `headline ${kind}` },
    mark(kind),
    h(
      "div",
      {},
      h("p", { class: "verdict" }, OVERALL[stats.status], lost && " when last heard"),
      sentences(stats, now).map((text) => h("p", {}, text)),
    ),
  );
}

function sentences(stats, now) {
  const troubled = stats.providers.filter((provider) => !provider.healthy);
  if (troubled.length)
    return troubled.map((provider) => [inShort(provider), " ", probe(provider, stats, now)]);
  const { total } = stats.windows["1m"];
  const all = ALL[stats.providers.length] ?? `All ${stats.providers.length} providers can be asked.`;
  if (!total.requests) return [`${all} No request has come in the last minute.`];
  const failures = failed(total);
  if (!failures) return [`${all} No request has failed in the last minute.`];
  return [`${all} ${percent(failures, total.requests)} of the last minute's requests failed.`];
}

/** A troubled provider in one sentence. It changes only with the state, so that it can be read aloud. */
export function inShort(provider) {
  const { name, fallback_provider: fallback } = provider;
  if (stateOf(provider) === "half-open") return `${name} is being tried again: its next request decides.`;
  return fallback
    ? `${name} is not being asked: its circuit is open. ${fallback} answers in its place.`
    : `${name} is not being asked: its circuit is open, and it has no fallback, so its requests get 503.`;
}

/** The providers, those in trouble first; `window` is the chosen one, `now` the gateway's time in milliseconds. */
export function cards(stats, window, now) {
  const startedAt = Date.parse(stats.generated_at) - stats.uptime_s * 1000;
  const traffic = new Map(window.providers.map((one) => [one.provider, one]));
  const kindOf = (provider) => {
    if (provider.circuit_state === "open") return "bad";
    return provider.healthy && !traffic.get(provider.name).attempts.failure ? "good" : "warning";
  };
  const gravity = (provider) => GRAVITY[kindOf(provider)] + (provider.healthy ? 0.5 : 0);
  return [...stats.providers]
    .sort((one, other) => gravity(one) - gravity(other))
    .map((provider) => {
      const past = { startedAt, span: window.span, traffic: traffic.get(provider.name) };
      return card(provider, kindOf(provider), past, stats, now);
    });
}

function card(provider, kind, { startedAt, span, traffic }, stats, now) {
  return h(
    "article",
    { class: `panel card ${kind}`, "aria-label": provider.name },
    h(
      "header",
      {},
      mark(kind),
      h("h3", {}, provider.name),
      h("span", { class: "muted" }, provider.format),
      h("span", { class: `badge ${kind}` }, CIRCUITS[stateOf(provider)]),
    ),
    story(provider, traffic.attempts.failure, span, stats, now).map((part) => h("p", {}, part)),
    provider.last_error &&
      h(
        "p",
        {},
        h("span", { class: "muted" }, "Last error, ", ago(Date.parse(provider.last_error.at), now), ": "),
        h("code", {}, provider.last_error.message),
      ),
    provider.circuit_state ? timeline(provider, now, startedAt) : null,
    numbers(provider, traffic),
  );
}

/** What happens, since when, and what is done about it. */
function story(provider, failures, span, stats, now) {
  const since = provider.state_since && Date.parse(provider.state_since);
  const fallback = provider.fallback_provider;
  switch (stateOf(provider)) {
    case "open":
      return [
        [
          "Open",
          since && [" for ", h("b", {}, duration((now - since) / 1000)), ", since ", moment(since)],
          cause(provider),
          ". ",
          probe(provider, stats, now),
        ],
        [
          fallback
            ? ["Meanwhile ", h("b", {}, fallback), " answers its requests."]
            : "There is no fallback: its requests get 503 with Retry-After.",
        ],
      ];
    case "half-open":
      return [
        [
          "Half-open",
          since && [" since ", moment(since)],
          ": the next request is the probe. If that succeeds, the circuit closes; if not, it opens again.",
          fallback ? [" Other requests go to ", h("b", {}, fallback), "."] : " Other requests get 503.",
        ],
      ];
    default:
      return [
        [
          failures
            ? `${count(failures)} failed ${failures === 1 ? "attempt" : "attempts"} ${span}`
            : `No failed attempt ${span}`,
          provider.failures ? `; ${provider.failures} in a row now` : "",
          ". ",
          since && ["Closed again since ", moment(since), ", ", ago(since, now), ". "],
          fallback ? `If it fails, ${fallback} answers.` : "It has no fallback.",
        ],
      ];
  }
}

/** When an open circuit lets the next request through. */
function probe(provider, stats, now) {
  if (provider.circuit_state !== "open") return null;
  const at = Date.parse(stats.generated_at) + provider.retry_in_s * 1000;
  return at > now
    ? ["Next probe in ", h("b", {}, duration((at - now) / 1000)), ", at ", moment(at), "."]
    : "The next request is the probe.";
}

function cause(provider) {
  const [change] = provider.transitions;
  return change?.to === "open"
    ? `, after ${change.failures} failures in a row (the last: ${words(change.reason)})`
    : "";
}

const times = (number) => ["never", "once"][number] ?? `${count(number)} times`;

function numbers(provider, traffic) {
  const { connections, queued } = provider.pool;
  const { success, failure, neutral } = traffic.attempts;
  return h(
    "dl",
    { class: "numbers" },
    pair("Answered", rate(traffic.requests_per_s)),
    pair("Failed", percent(failed(traffic), traffic.requests)),
    pair("Attempts failed", percent(failure, success + failure + neutral)),
    pair("Circuit opened", provider.circuit_state ? times(provider.opened) : NONE),
    pair("Latency p50 / p99", percentiles(traffic.latency_s)),
    pair("First byte p50 / p99", percentiles(traffic.first_byte_s)),
    pair("In flight", provider.inflight_requests),
    pair("Connections", queued ? `${connections}, ${queued} waiting` : connections),
  );
}

/** A term and its value, in a description list. */
export const pair = (term, value) => h("div", {}, h("dt", {}, term), h("dd", {}, String(value)));
