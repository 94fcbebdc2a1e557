// Draws the page anew when a snapshot comes, and every second for what tells the time.

import { h, show } from "./dom.js";
import { Feed } from "./feed.js";
import { ago, duration, moment } from "./format.js";
import { cards, headline, inShort } from "./status.js";
import { charts, fallbacks, journal, models, retries, totals } from "./traffic.js";

const place = (id) => document.getElementById(id);

const SPANS = { "1m": "in the last minute", "5m": "in the last 5 minutes", start: "since the start" };

let stats = null;
let ahead = 0; // how far the gateway's clock is ahead of ours, in milliseconds
let said = "";

const feed = new Feed((snapshot) => {
  // Another version may come with another page.
  if (stats && stats.version !== snapshot.version) location.reload();
  stats = snapshot;
  ahead = Date.parse(stats.generated_at) - Date.now();
  announce();
  draw();
});

function draw() {
  drawConnection();
  if (!stats) {
    show(place("status"), h("p", { class: "panel empty" }, "Waiting for the gateway's first numbers …"));
    return;
  }
  // What is lost stays as it was: a countdown that goes on would pretend to know.
  const now = (feed.lostAt ?? Date.now()) + ahead;
  const chosen = document.querySelector("input[name=window]:checked").value;
  const window = { ...stats.windows[chosen], span: SPANS[chosen] };
  const workers = stats.workers === 1 ? "1 worker" : `${stats.workers} workers`;
  const { version, speedups, uptime_s: uptime } = stats;
  show(place("facts"), `${version} (${speedups}), up ${duration(uptime)}, ${workers}`);
  show(place("status"), headline(stats, now, feed.lostAt !== null));
  show(place("cards"), cards(stats, window, now));
  show(place("totals"), totals(stats, window));
  show(place("charts"), charts(stats, now));
  show(place("flow"), fallbacks(window));
  show(place("again"), retries(window));
  show(place("usage"), models(window));
  show(place("journal"), journal(stats, now));
}

function drawConnection() {
  const lost = feed.lostAt !== null;
  const banner = place("connection");
  banner.hidden = !lost;
  document.body.classList.toggle("stale", lost);
  document.title = `${lost ? "connection lost" : (stats?.status ?? "…")} · LLM gateway`;
  if (!lost) return;
  const next =
    feed.retryAt === null
      ? "Trying now …"
      : `Trying again in ${duration(Math.max(1, (feed.retryAt - Date.now()) / 1000))}.`;
  show(
    banner.querySelector("p"),
    h("b", {}, "Connection lost"),
    " at ",
    moment(feed.lostAt),
    ", ",
    ago(feed.lostAt, Date.now()),
    ". ",
    stats ? "What you see is from then. " : "",
    next,
  );
}

/** Read changes of state aloud, and nothing else: not every number, not every second. */
function announce() {
  const troubled = stats.providers.filter((provider) => !provider.healthy).map(inShort);
  const text = troubled.length ? troubled.join(" ") : "All providers can be asked.";
  if (text !== said) place("news").textContent = said = text;
}

place("windows").addEventListener("change", draw);
place("connection")
  .querySelector("button")
  .addEventListener("click", () => feed.tryNow());
setInterval(draw, 1000);
draw();
