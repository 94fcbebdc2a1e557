// Numbers and times as people read them. What is not known is a dash, never a zero.

import { h } from "./dom.js";

export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const money = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
const cents = new Intl.NumberFormat("en", {
  style: "currency",
  currency: "USD",
  maximumSignificantDigits: 2,
});
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const calendar = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

/** At most three digits, two of them where one stands before the point. */
const digits = (value) =>
  value < 99.5 ? String(Number(value.toPrecision(value < 10 ? 2 : 3))) : whole.format(value);

/** How many: 577, 12,048, 1.69M. */
export const count = (value) => (value < 100_000 ? whole : short).format(value);

/** How many a second. */
export function rate(value) {
  if (value === null) return NONE;
  if (value > 0 && value < 0.01) return "<0.01 /s";
  return `${value < 1000 ? digits(value) : short.format(value)} /s`;
}

/** The share of `part` in `all`. */
export function percent(part, all) {
  if (!all) return NONE;
  const share = (100 * part) / all;
  return share > 0 && share < 0.01
    ? "<0.01 %"
    : `${share < 10 ? Number(share.toPrecision(2)) : Math.round(share)} %`;
}

/** What was measured, in seconds: 118 µs, 42 ms, 5.8 s. */
export function latency(seconds) {
  if (seconds === null) return NONE;
  if (seconds < 0.00095) return `${digits(seconds * 1e6)} µs`;
  if (seconds < 0.95) return `${digits(seconds * 1e3)} ms`;
  return `${digits(seconds)} s`;
}

/** What half of the requests took at most, and what 99 % of them did. */
export const percentiles = ({ p50, p99 }) => `${latency(p50)} / ${latency(p99)}`;

/** A time that passes, in seconds, by its two largest units: 12 s, 3 min 4 s, 1 d 2 h. */
export function duration(seconds) {
  const total = Math.max(0, Math.round(seconds));
  const units = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const first = units.findIndex(([, size]) => total >= size);
  if (first < 0) return "0 s";
  const [[name, size], [nextName, nextSize] = []] = units.slice(first);
  const rest = nextSize ? Math.floor((total % size) / nextSize) : 0;
  return `${Math.floor(total / size)} ${name}${rest ? ` ${rest} ${nextName}` : ""}`;
}

/** US dollars, the cents of small sums in full. */
export const usd = (value) =>
  value === null ? NONE : (value > 0 && value < 0.995 ? cents : money).format(value);

/** The time of day at `at`, in milliseconds since the epoch; with the date where that is not today. */
export function timeOfDay(at) {
  const today = new Date(at).toDateString() === new Date().toDateString();
  return (today ? clock : day).format(at);
}

/** A moment, as the time of day; the whole date is its tooltip. */
export const moment = (at) => timed(at, timeOfDay(at));

/** A moment, as how long ago it was; the whole date is its tooltip. */
export const ago = (at, now) => timed(at, `${duration((now - at) / 1000)} ago`);

function timed(at, text) {
  return h("time", { datetime: new Date(at).toISOString(), title: calendar.format(at) }, text);
}

/** A reason as it stands in logs and metrics, in words. */
export const words = (reason) => reason.replaceAll("_", " ");
