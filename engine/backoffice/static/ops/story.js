// A conversation and its moments in words: the same for a call on the line and for one that is over.

import { clock, h } from "./dom.js";
import { weigh } from "./lanes.js";

const SAYS = { caller: "Caller", agent: "Agent", script: "Script", operator: "Operator" };

export function talk(transcript, says = SAYS) {
  if (!transcript.length) return h("p", { class: "quiet" }, "Nothing has been said yet.");
  return h("ol", { class: "talk" }, transcript.map((line) => h("li", { "data-role": line.role },
    h("span", { class: "by" }, says[line.role] || line.role),
    h("p", {}, line.text, line.cut && h("span", { class: "cut-off" }, " (cut short here)")))));
}

// promptTokenCount 41, passages Parking 0.53, ...: what a program noted, as a person would write it down.
const worded = (name) => name.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();

function said(value) {
  if (Array.isArray(value)) return value.map(said).join(value.some(Array.isArray) ? ", " : " ");
  if (value && typeof value === "object") return Object.entries(value).map(([name, one]) => `${worded(name)} ${said(one)}`).join(", ");
  return String(value);
}

function facts(moment) {
  const known = Object.entries(moment.facts || {}).filter(([, value]) => value !== null && value !== "" && value?.length !== 0);
  return known.map(([name, value]) => `${worded(name)} ${said(value)}`).join(" · ");
}

export function moments(timeline) {
  return h("table", { class: "moments" }, h("thead", { class: "visually-hidden" }, h("tr", {}, h("th", { scope: "col" }, "At"), h("th", { scope: "col" }, "What"), h("th", { scope: "col" }, "Details"))),
    h("tbody", {}, timeline.map((moment) => h("tr", { "data-weight": weigh(moment) },
      h("td", { class: "num" }, `${clock(moment.at_ms / 1000)}.${Math.floor((moment.at_ms % 1000) / 100)}`),
      h("td", {}, moment.kind.replaceAll("_", " ")),
      h("td", {}, moment.text, moment.text && " ", h("span", { class: "quiet" }, facts(moment)))))));
}
