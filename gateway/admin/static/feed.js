// The connection to the gateway: snapshots of /stats as they come, and what to do when they do not.

const EVENTS = "/dashboard/events";
const SILENCE_MS = 8000; // four snapshots: the connection is dead even where nobody closed it
const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 30_000;

/** Calls `onStats` with each snapshot; `lostAt` is when the connection went, null while it is there. */
export class Feed {
  lostAt = null;
  retryAt = null;
  #onStats;
  #source = null;
  #timer = null;
  #delay = FIRST_DELAY_MS;

  constructor(onStats) {
    this.#onStats = onStats;
    addEventListener("online", () => this.tryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.tryNow());
    this.#connect();
  }

  /** Connect at once, if there is no connection. */
  tryNow() {
    if (this.lostAt === null) return;
    this.#delay = FIRST_DELAY_MS;
    this.#connect();
  }

  #connect() {
    this.#source?.close();
    this.retryAt = null;
    this.#source = new EventSource(EVENTS);
    this.#source.onmessage = ({ data }) => {
      this.lostAt = null;
      this.#delay = FIRST_DELAY_MS;
      this.#expect();
      this.#onStats(JSON.parse(data));
    };
    this.#source.onerror = () => this.#lost();
    this.#expect();
  }

  #expect() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(), SILENCE_MS);
  }

  // The browser's own reconnection gives up at the first refusal, which a gateway that starts may well send.
  #lost() {
    this.#source.close();
    clearTimeout(this.#timer);
    this.lostAt ??= Date.now();
    const delay = this.#delay * (0.75 + Math.random() / 2);
    this.#delay = Math.min(2 * this.#delay, MAX_DELAY_MS);
    this.retryAt = Date.now() + delay;
    this.#timer = setTimeout(() => this.#connect(), delay);
  }
}
