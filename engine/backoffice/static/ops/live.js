// What happens now, as the stream tells it: rows by call, workers, and what is wrong.

import { announce, plural } from "./dom.js";

const LATE_MS = 4000;

export const live = {
  rows: new Map(),
  gateways: [],
  alarms: [],
  skew: 0, // of this browser's clock against the server's, in seconds
  heardAt: 0,
  lag: new Map(), // worker -> the last two minutes of its loop's lag
};

const listeners = new Set();
let source = null;
let said = "";

export function onBoard(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const now = () => Date.now() / 1000 - live.skew;

export function start() {
  stop();
  source = new EventSource("/ops/stream");
  source.addEventListener("board", (event) => take(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    // A browser gives up on a stream that was refused; one that merely ended it opens again by itself.
    if (source && source.readyState === EventSource.CLOSED) window.setTimeout(() => source && start(), 3000);
  });
}

export function stop() {
  if (source) source.close();
  source = null;
}

export const isLate = () => Date.now() - live.heardAt > LATE_MS;

function take(board) {
  live.heardAt = Date.now();
  live.skew = Date.now() / 1000 - board.at;
  if (board.full) {
    const known = new Set(Object.keys(board.calls.set));
    for (const sid of live.rows.keys()) if (!known.has(sid)) live.rows.delete(sid);
  }
  for (const sid of board.calls.gone) live.rows.delete(sid);
  for (const [sid, changed] of Object.entries(board.calls.set)) {
    const row = live.rows.get(sid);
    if (row) Object.assign(row, changed);
    else live.rows.set(sid, changed);
  }
  live.gateways = board.gateways;
  live.alarms = board.alarms;
  for (const one of board.gateways) keepLag(one);
  tell();
  for (const listener of listeners) listener();
}

function keepLag(one) {
  const kept = live.lag.get(one.url) || [];
  kept.push(one.away ? null : one.loop.lag_p90_ms);
  if (kept.length > 120) kept.shift();
  live.lag.set(one.url, kept);
}

// Only what is bad is read out, and only when the kinds of trouble change: counts go up and down all the time, and so
// does by how much somebody is late.
function tell() {
  const bad = live.alarms.filter((alarm) => alarm.weight === "bad");
  const kinds = bad.map((alarm) => alarm.about || alarm.says.replace(/\b\d+ (?=ms|MiB|%)/g, "")).join("|");
  if (kinds === said) return;
  said = kinds;
  announce(bad.length ? `${plural(bad.length, "problem")}: ${bad.map((alarm) => alarm.says).join("; ")}` : "No problems now");
}
