// The moments that tell a call's story to somebody who has never seen one: turns, what was looked up and where it
// stands, tools, hand-overs.

import { clock, h, ms } from "../ops/dom.js";
import { weigh } from "../ops/lanes.js";

const arguments_ = (given) => Object.entries(given || {}).map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
const quoted = (words) => (words ? `“${words}”` : "");

const LOOKED = { NothingFound: "Found nothing about", TimedOut: "Ran out of time looking for", Skipped: "Looked nothing up for" };

// Each: what to call it, what it says, and what stands under it in small print.
const SAYS = {
  line: () => ["Line", "The phone is answered."],
  model: (text, facts) => ["Model", `${text} holds the floor.`, facts.resumed ? "resumed" : ""],
  model_lost: (text, facts) => ["Model", `${facts.provider || "The model"} is lost: ${text}`],
  handover: (text, facts) => ["Hand-over", `${facts.source} → ${facts.target}`, text],
  transfer: (text) => ["Transfer", `To ${text}.`],
  transfer_failed: (text) => ["Transfer", `It failed: ${text}`],
  caller: (text) => ["You", quoted(text)],
  response: (text, facts) => (facts.response_ms === null || facts.response_ms === undefined ? null : ["Answer", `Began ${ms(facts.response_ms)} after your last word.`]),
  agent: (text) => ["They", quoted(text)],
  cut: (text, facts) => ["They", `${quoted(text)}, cut short`, `heard ${ms(facts.heard_ms)} of ${ms(facts.of_ms)}`],
  script: (text) => ["Script", quoted(text)],
  filler: (text) => ["They", quoted(text), "filler"],
  operator: (text) => ["Operator", quoted(text)],
  retrieved: (text, facts) => {
    const found = facts.passages || [];
    const cost = `held the answer back ${ms(facts.held_ms)}`;
    if (!found.length) return ["Looked up", `${LOOKED[facts.outcome] || facts.outcome} ${quoted(text)}`, [facts.why, cost].filter(Boolean).join(" · ")];
    return ["Looked up", h("ul", { class: "sources" }, found.map(([source, score]) => h("li", {}, source, h("span", { class: "quiet num", title: "how well it fits" }, ` ${score.toFixed(2)}`)))), cost];
  },
  tool_call: (text, facts) => ["Tool", text.replaceAll("_", " "), arguments_(facts.arguments)],
  tool_result: (text, facts) => ["Tool", facts.response?.message || `${text} is done`, `${ms(facts.ms)}${facts.deduplicated ? ", answered from the ledger" : ""}`],
  ended: (text, facts) => ["Line", `The call ends: ${(facts.reason || "").replaceAll("_", " ")}.`],
};

export function steps(timeline) {
  const rows = [];
  for (const moment of timeline) {
    const said = SAYS[moment.kind]?.(moment.text, moment.facts || {});
    if (!said) continue;
    const [what, words, small] = said;
    rows.push(h("li", { "data-kind": moment.kind, "data-weight": weigh(moment) || undefined },
      h("time", { class: "num quiet" }, clock(moment.at_ms / 1000)), h("b", {}, what), h("div", {}, words, small && h("small", { class: "quiet" }, small))));
  }
  return h("ol", { class: "steps" }, rows);
}
