// Providers, workers, capacity, lag: is the machinery well?

import { attr, colour, h, ms, plural, show, svg } from "./dom.js";
import { live, onBoard } from "./live.js";

const LATE_MS = 20;

export function healthView() {
  const providers = h("section", { class: "panel", "aria-labelledby": "providers-title" });
  const cards = h("section", { class: "cards", "aria-label": "Workers" });
  const total = h("p", { class: "quiet num" });
  show(h("div", { class: "view" }, h("div", { class: "view-head" }, h("h1", {}, "Health"), total), cards, providers));
  let painted = "";

  function paint() {
    const key = JSON.stringify(live.gateways);
    if (key === painted) return;
    painted = key;
    const there = live.gateways.filter((one) => !one.away);
    const calls = there.reduce((sum, one) => sum + one.now, 0);
    const capacity = there.reduce((sum, one) => sum + one.capacity, 0);
    total.textContent = live.gateways.length ? `${plural(calls, "call")} of ${capacity} that ${plural(there.length, "worker")} may take` : "";
    cards.replaceChildren(...(live.gateways.length ? live.gateways.map(card) : [nobody()]));
    providers.replaceChildren(h("div", { class: "head" }, h("h2", { id: "providers-title" }, "Models and parts")), h("div", { class: "scroll" }, matrix(there)));
    providers.hidden = !there.length;
  }
  const off = onBoard(paint);
  const again = () => { painted = ""; paint(); };
  window.addEventListener("frontdesk:theme", again);
  paint();
  return () => {
    off();
    window.removeEventListener("frontdesk:theme", again);
  };
}

function nobody() {
  return h("div", { class: "panel notice" }, h("strong", {}, live.heardAt ? "No gateway is configured" : "Waiting for news"),
    live.heardAt ? "Set FRONTDESK_GATEWAYS to the addresses of the gateways' ops pages." : "");
}

function weight(one) {
  if (one.away || one.status === "unavailable" || one.loop.lag_p90_ms > LATE_MS) return "bad";
  return one.status === "ok" ? "" : "watch";
}

function card(one) {
  const full = one.capacity ? one.now / one.capacity : 0;
  const bar = h("i", {});
  bar.style.width = `${Math.min(100, Math.round(100 * full))}%`;
  const row = (name, value, cls = "") => h("div", { class: "row" }, h("dt", {}, name), h("dd", { class: `num ${cls}` }, value));
  const status = one.away ? "away" : one.status.replace("_", " ");
  const of = weight(one);
  return h("article", { class: "panel card", "data-weight": of },
    h("div", { class: "view-head" }, h("h2", {}, one.worker || one.url), h("strong", { class: of || "good" }, status)),
    one.away ? h("p", { class: "bad" }, one.away) : [
      h("div", { class: "gauge", role: "meter", "aria-label": "Calls", "aria-valuemin": "0", "aria-valuemax": String(one.capacity), "aria-valuenow": String(one.now), "data-weight": full >= 1 ? "bad" : full >= 0.95 ? "watch" : "" }, bar),
      h("dl", {},
        row("Calls", `${one.now} of ${one.capacity}`),
        row("Loop lag, 90th percentile", ms(one.loop.lag_p90_ms), one.loop.lag_p90_ms > LATE_MS ? "bad" : ""),
        row("Loop lag, worst of 3 s", ms(one.loop.lag_max_ms)),
        row("Audio clock late, 99th percentile", ms(one.loop.late_p99_ms), one.loop.late_p99_ms > LATE_MS ? "bad" : ""),
        row("Memory", one.loop.memory_mib === null ? "not known" : `${Math.round(one.loop.memory_mib)} MiB`),
        row("Lines failed by our fault", String(one.loop.faults), one.loop.faults ? "watch" : "")),
      spark(live.lag.get(one.url) || [])],
    h("p", { class: "quiet mono" }, one.url));
}

// Two minutes of loop lag; the dashed line is what a call begins to hear.
function spark(lags) {
  const known = lags.filter((one) => one !== null);
  const top = Math.max(LATE_MS * 1.25, ...known);
  const y = (lag) => 38 - (36 * lag) / top;
  const points = lags.map((lag, i) => (lag === null ? null : `${i + 120 - lags.length},${y(lag).toFixed(1)}`)).filter(Boolean).join(" ");
  return svg("svg", { class: "spark", viewBox: "0 0 120 40", preserveAspectRatio: "none", role: "img", "aria-label": `Loop lag over two minutes, at most ${ms(Math.max(0, ...known))}` },
    svg("line", { x1: 0, x2: 120, y1: y(LATE_MS), y2: y(LATE_MS), stroke: colour("bad"), "stroke-dasharray": "2 2", "stroke-width": 1, "vector-effect": "non-scaling-stroke" }),
    svg("polyline", { points, fill: "none", stroke: colour("accent"), "stroke-width": 1.6, "vector-effect": "non-scaling-stroke" }));
}

function matrix(there) {
  const parts = [...new Set(there.flatMap((one) => Object.keys(one.parts)))].sort((a, b) => (b.startsWith("model") - a.startsWith("model")) || a.localeCompare(b));
  const cell = (word) => {
    const td = h("td", { class: word === undefined ? "quiet" : word === "ok" || word === "serving" ? "good" : "bad" }, word ?? "not there");
    attr(td, "data-word", word);
    return td;
  };
  return h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Part"), there.map((one) => h("th", { scope: "col" }, one.worker)))),
    h("tbody", {}, parts.map((part) => h("tr", {}, h("th", { scope: "row" }, part), there.map((one) => cell(one.parts[part]))))));
}
