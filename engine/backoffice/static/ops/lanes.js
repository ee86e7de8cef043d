// What happened in a call, as lanes over time: who had the floor, who spoke, what was looked up and done, what failed.
// A picture beside the list of the same moments, which says all of it in words.

import { attr, clock, h, svg } from "./dom.js";

const LANES = ["Floor", "Caller", "Agent", "Retrieval", "Tools", "Trouble"];
const TALL = 26;
const PX_PER_S = 14;
const WRITTEN = 44; // px that a time takes: one that would be cut off is not written
const BAD = new Set(["model_lost", "model_refused", "transfer_failed", "unanswered"]);
const WATCH = new Set(["handover", "replayed", "endless", "silence", "expiring", "order", "transfer"]);
const OUTCOMES = { Notes: "notes", NothingFound: "meh", Skipped: "meh", TimedOut: "bad" };

export const weigh = (moment) => (BAD.has(moment.kind) || moment.facts?.outcome === "TimedOut" ? "bad" : WATCH.has(moment.kind) ? "watch" : "");

// Moments to marks: {lane, from, to, kind, says}, in ms.
export function marks(timeline, until) {
  const found = [];
  let floor = null;
  const answers = new Map();
  const tools = [];
  const taken = []; // of the floor, by an operator: over whoever has it
  const put = (lane, from, to, kind, says) => found.push({ lane, from: Math.max(0, from), to, kind, says });
  const holds = (kind, at) => {
    if (floor) put(0, floor.at, at, floor.kind, floor.kind === "human" ? "operator" : floor.kind);
    floor = { kind, at };
  };
  for (const moment of timeline) {
    const { at_ms: at, kind, text, facts = {} } = moment;
    if (kind === "floor") holds(text, at);
    else if (kind === "handover" && facts.target === "script") holds("script", at);
    else if (kind === "speech") put(1, at - facts.speech_ms, at, "caller", `caller speaks, ${(facts.speech_ms / 1000).toFixed(1)} s`);
    else if (kind === "response") answers.set(facts.generation, at);
    else if (kind === "agent" || kind === "cut") {
      const from = answers.get(facts.generation) ?? (answers.size ? [...answers.values()].pop() : at);
      put(2, from, at, kind === "cut" ? "agent cut-short" : "agent", kind === "cut" ? `cut: ${text}` : text);
      answers.clear();
    } else if (kind === "script" || kind === "filler") put(2, at, at + Math.max(600, 62 * text.length), kind === "script" ? "script" : "agent", text);
    else if (kind === "operator") {
      const to = at + (facts.ms || 62 * text.length);
      put(2, at, to, "human", `operator: ${text}`);
      taken.push({ lane: 0, from: at, to, kind: "human", says: "operator" });
    }
    else if (kind === "retrieved") put(3, at - Math.max(facts.search_ms || 0, facts.held_ms || 0, 250), at, OUTCOMES[facts.outcome] || "meh", `${facts.outcome}: ${text}`);
    else if (kind === "tool_call") tools.push({ name: text, at });
    else if (kind === "tool_result") {
      const i = tools.findIndex((one) => one.name === text);
      const from = i < 0 ? at - (facts.ms || 300) : tools.splice(i, 1)[0].at;
      put(4, from, Math.max(at, from + 250), facts.deduplicated ? "meh" : "tool", `${text}, ${facts.ms} ms${facts.deduplicated ? ", answered from the ledger" : ""}`);
    }
    if (weigh(moment) && kind !== "retrieved") put(5, at - 150, at + 150, weigh(moment), `${kind.replaceAll("_", " ")} ${text}`);
  }
  if (floor) put(0, floor.at, until, floor.kind, floor.kind);
  for (const at of answers.values()) put(2, at, until, "agent", "agent speaks");
  for (const one of tools) put(4, one.at, until, "tool", `${one.name}, running`);
  return [...found, ...taken];
}

export function lanes() {
  const picture = svg("svg", { class: "lanes", role: "img" });
  const box = h("div", { class: "lanes-scroll", tabindex: "0", role: "group", "aria-label": "Timeline, scrolls sideways" }, picture);
  const node = h("div", { class: "lanes-box" }, h("div", { class: "lanes-names", "aria-hidden": "true" }, LANES.map((name) => h("span", {}, name))), box);
  let follows = true;
  let put = -1; // where we scrolled to ourselves: by the time that is told, the picture may have grown again
  let painted = [[], 0];
  box.addEventListener("scroll", () => { if (box.scrollLeft !== put) follows = box.scrollLeft + box.clientWidth >= box.scrollWidth - 24; });
  new ResizeObserver(() => paint(...painted)).observe(box);

  function paint(timeline, until) {
    painted = [timeline, until];
    const found = marks(timeline, until);
    const from = timeline.length ? Math.max(0, Math.min(timeline[0].at_ms, until) - 500) : 0;
    const seconds = Math.max(20, (until - from) / 1000 + 2);
    const wide = Math.max(box.clientWidth || 300, Math.ceil(seconds * PX_PER_S));
    const x = (at) => ((at - from) / 1000) * PX_PER_S;
    attr(picture, "width", wide);
    attr(picture, "viewBox", `0 0 ${wide} 176`);
    attr(picture, "aria-label", `Timeline of ${clock(until / 1000)}: ${found.filter((one) => one.lane === 1).length} turns of the caller, ${found.filter((one) => one.lane === 5).length} troubles. The list below has every moment.`);
    const drawn = [];
    for (let s = Math.ceil(from / 10000) * 10; s * 1000 < from + (wide / PX_PER_S) * 1000; s += 10) {
      drawn.push(svg("line", { class: "tick", x1: x(s * 1000), x2: x(s * 1000), y1: 0, y2: LANES.length * TALL }));
      if (x(s * 1000) + WRITTEN < wide) drawn.push(svg("text", { x: x(s * 1000) + 3, y: LANES.length * TALL + 14 }, clock(s)));
    }
    for (let i = 1; i <= LANES.length; i++) drawn.push(svg("line", { class: "rule", x1: 0, x2: wide, y1: i * TALL, y2: i * TALL }));
    for (const one of found) {
      const at = { x: x(one.from), width: Math.max(3, x(one.to) - x(one.from)), y: one.lane * TALL + (one.lane ? 6 : 4), height: TALL - (one.lane ? 12 : 8), rx: 2 };
      drawn.push(svg("rect", { ...at, class: one.kind.split(" ")[0] }, svg("title", {}, one.says)));
      if (one.kind.endsWith("cut-short")) drawn.push(svg("line", { class: "cut", x1: at.x + at.width, x2: at.x + at.width, y1: at.y - 3, y2: at.y + at.height + 3 }));
    }
    picture.replaceChildren(...drawn);
    if (follows) {
      box.scrollLeft = box.scrollWidth;
      put = box.scrollLeft;
    }
  }
  return { node, paint, toStart: () => { follows = false; box.scrollLeft = 0; } };
}
