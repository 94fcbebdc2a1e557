// Curves and timelines as SVG. One unit of width is a second, and the right edge is now; the drawing is stretched
// to its place, so axes and legends, which must not be, are HTML around it.

import { h, svg } from "./dom.js";
import { duration, NONE, timeOfDay } from "./format.js";

const SPAN_S = 300;
const HEIGHT = 100;

/** The distance from the left edge of what happened at `at`; both in milliseconds since the epoch. */
const x = (at, now) => Number((SPAN_S - (now - at) / 1000).toFixed(2));

function drawing(label, ...shapes) {
  const attributes = {
    viewBox: `0 0 ${SPAN_S} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": label,
  };
  return svg("svg", attributes, ...shapes);
}

const axis = () =>
  h("div", { class: "axis", "aria-hidden": "true" }, h("span", {}, "5 min ago"), h("span", {}, "now"));

/**
 * A chart of `curves`, each `{name, values, kind}`, whose values belong to the times `at`; `format` writes a value.
 * `kind` picks colour and dash. Null values are gaps.
 */
export function chart({ title, at, curves, format, now, empty }) {
  const known = curves.flatMap((curve) => curve.values.filter((value) => value !== null));
  if (!known.length)
    return h(
      "figure",
      { class: "panel chart" },
      h("figcaption", {}, title),
      h("p", { class: "empty" }, empty),
    );
  return h(
    "figure",
    { class: "panel chart" },
    h("figcaption", {}, title),
    h(
      "ul",
      { class: "legend" },
      curves.map((curve) =>
        h("li", {}, sample(curve.kind), `${curve.name} `, h("b", {}, latest(curve, format))),
      ),
    ),
    plot({ title, at, curves, format, now, top: niceAbove(Math.max(...known)) }),
  );
}

function plot({ title, at, curves, format, now, top }) {
  const y = (value) => Number((HEIGHT - (value / top) * HEIGHT).toFixed(2));
  const level = (kind, value) => svg("line", { class: kind, x1: 0, x2: SPAN_S, y1: y(value), y2: y(value) });
  const points = (values) =>
    values.map((value, index) => (value === null ? null : [x(at[index], now), y(value)]));
  const said = curves.map((curve) => summary(curve, format)).join("; ");
  return h(
    "div",
    { class: "plot" },
    h("div", { class: "scale", "aria-hidden": "true" }, h("span", {}, format(top)), h("span", {}, "0")),
    drawing(
      `${title}, the last 5 minutes. ${said}.`,
      [level("base", 0), level("grid", top / 2), level("grid", top)],
      curves.map(({ kind, values }) => drawn(kind, points(values))),
      at.map((_, index) => step(at, index, curves, format, now)),
    ),
    axis(),
  );
}

// A place to point at, which tells the values there.
function step(at, index, curves, format, now) {
  const left = index ? x(at[index - 1], now) : x(at[0], now) - 5;
  const values = curves.map((curve) => `${curve.name} ${written(curve.values[index], format)}`).join(", ");
  return svg(
    "rect",
    { class: "touch", x: left, y: 0, width: (x(at[index], now) - left).toFixed(2), height: HEIGHT },
    svg("title", {}, `${timeOfDay(at[index])}: ${values}`),
  );
}

const written = (value, format) => (value === null ? NONE : format(value));

const latest = (curve, format) => written(curve.values.at(-1) ?? null, format);

function summary(curve, format) {
  const known = curve.values.filter((value) => value !== null);
  if (!known.length) return `${curve.name}: nothing`;
  const [least, most] = [Math.min(...known), Math.max(...known)].map(format);
  return `${curve.name}: now ${latest(curve, format)}, lowest ${least}, highest ${most}`;
}

const sample = (kind) =>
  svg(
    "svg",
    { class: "sample", viewBox: "0 0 18 4", "aria-hidden": "true" },
    svg("path", { class: `curve ${kind}`, d: "M1 2H17" }),
  );

// A lone point between gaps would be a line without length: it is drawn as a dot.
function drawn(kind, points) {
  const line = [];
  const dots = [];
  points.forEach((point, index) => {
    if (!point) return;
    const follows = points[index - 1];
    if (!follows && !points[index + 1]) dots.push(`M${point}h.01`);
    else line.push(`${follows ? "L" : "M"}${point}`);
  });
  return [
    svg("path", { class: `curve ${kind}`, d: line.join("") }),
    svg("path", { class: `curve dots ${kind}`, d: dots.join("") }),
  ];
}

/** The least of 1, 2, 5, 10, 20, … that is not below `value`. */
function niceAbove(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((bound) => bound >= value * 0.999);
}

/** The states of a provider's circuit: what is drawn higher is worse. `startedAt` is when the gateway began. */
export function timeline(provider, now, startedAt) {
  const stretches = stretchesOf(provider, now, startedAt);
  const said = stretches
    .map(({ state, from, to }) => `${state} for ${duration((to - from) / 1000)}`)
    .join(", then ");
  const shown = stretches.map(({ state, from, to }) =>
    svg(
      "rect",
      {
        class: `state ${state}`,
        x: x(from, now),
        width: Math.max(0.6, (to - from) / 1000).toFixed(2),
        ...BARS[state],
      },
      svg("title", {}, `${state} from ${timeOfDay(from)} for ${duration((to - from) / 1000)}`),
    ),
  );
  return h("div", { class: "timeline" }, drawing(`Circuit in the last 5 minutes: ${said}.`, shown), axis());
}

const BARS = {
  closed: { y: 70, height: 30 },
  "half-open": { y: 35, height: 65 },
  open: { y: 0, height: 100 },
};

function stretchesOf(provider, now, startedAt) {
  const first = Math.max(now - SPAN_S * 1000, startedAt);
  const changes = provider.transitions.map((change) => ({ ...change, at: Date.parse(change.at) })).reverse();
  const stretches = [];
  let from = first;
  let state = changes[0]?.from ?? provider.circuit_state;
  for (const change of changes) {
    if (change.at > from) stretches.push({ state, from, to: change.at });
    from = Math.max(first, change.at);
    state = change.to;
  }
  // An open circuit becomes half-open by the clock alone; the change is noted when the next request comes.
  const since = Date.parse(provider.state_since ?? "");
  if (state !== provider.circuit_state && since > from) {
    stretches.push({ state, from, to: since });
    from = since;
  }
  stretches.push({ state: provider.circuit_state, from, to: now });
  return stretches;
}
