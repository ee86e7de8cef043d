// The ops page: who is there, and which view. Views are functions of the rest of the address; each returns how to leave
// it.

import { get } from "./api.js";
import { callsView } from "./calls.js";
import { announce, h, page, plural, show, text } from "./dom.js";
import { keepTheme, keepWayOut, loginView, showBar } from "./frame.js";
import { healthView } from "./health.js";
import { historyView } from "./history.js";
import { isLate, live, onBoard, start, stop } from "./live.js";
import { tenantsView } from "./tenants.js";
import { usageView } from "./usage.js";

const VIEWS = { calls: callsView, health: healthView, tenants: tenantsView, history: historyView, usage: usageView };
const TITLES = { calls: "Calls", health: "Health", tenants: "Tenants", history: "History", usage: "Usage" };
const bar = document.getElementById("bar");
const verdict = document.getElementById("verdict");
const pulse = document.getElementById("pulse");

let me = null;
let leave = () => {};
let open = "";

// --- the way in and out --------------------------------------------------------------------------------------------

function login() {
  stop();
  leave();
  leave = () => {};
  open = "";
  me = null;
  verdict.hidden = true;
  loginView({ name: "Frontdesk ops", about: "Calls on the line, what is wrong with them, and what to do about it.", enter });
}

async function enter() {
  try {
    me = await get("/ops/me");
  } catch (error) {
    if (error.status === 401) return login();
    show(h("div", { class: "notice" }, h("strong", {}, "The back office does not answer"), error.message));
    window.setTimeout(enter, 3000);
    return undefined;
  }
  showBar(me);
  if (me.scopes.includes("calls")) {
    verdict.hidden = false;
    start();
  }
  route();
  return undefined;
}

// --- which view ----------------------------------------------------------------------------------------------------

function route() {
  if (!me) return;
  const [name = "calls", ...rest] = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  const view = VIEWS[name] ? name : me.scopes.includes("calls") ? "calls" : "history";
  for (const tab of bar.querySelectorAll("[data-tab]")) {
    if (tab.dataset.tab === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  if (view === open && leave.route) return leave.route(rest);
  const moved = open !== "";
  leave();
  open = view;
  document.title = `${TITLES[view]} · Frontdesk ops`;
  leave = VIEWS[view]({ me, rest }) || (() => {});
  if (moved) {
    page.focus({ preventScroll: true });
    announce(TITLES[view]);
  }
}
window.addEventListener("hashchange", route);

// --- what is wrong, above everything else ---------------------------------------------------------------------------

let shown = "";
onBoard(() => {
  const bad = live.alarms.filter((alarm) => alarm.weight === "bad").length;
  const weight = bad ? "bad" : live.alarms.length ? "watch" : "";
  const workers = live.gateways.length;
  const sum = bad ? `${plural(bad, "problem")} now` : weight ? "Callers are served" : "All is well";
  const where = workers ? ` on ${plural(workers, "worker")}` : "";
  const none = !workers && !me?.tenant_id ? "No gateway is configured: set FRONTDESK_GATEWAYS" : "";
  const small = none || `${plural(live.rows.size, "call")} on the line${where}`;
  const key = JSON.stringify([sum, small, live.alarms]);
  if (key === shown) return;
  shown = key;
  const focused = document.activeElement?.dataset?.about;
  verdict.dataset.weight = weight;
  verdict.replaceChildren(h("p", { class: "sum" }, sum, h("small", {}, small)),
    live.alarms.length ? h("ul", {}, live.alarms.map((alarm) => h("li", {}, chip(alarm)))) : "");
  if (focused) verdict.querySelector(`[data-about="${focused}"]`)?.focus();
  document.title = `${bad ? `(${bad}) ` : ""}${TITLES[open] || "Log in"} · Frontdesk ops`;
});

function chip(alarm) {
  const inside = [h("b", {}, alarm.weight === "bad" ? "bad" : "watch"), h("span", {}, alarm.says)];
  const props = { class: `alarm ${alarm.weight}` };
  if (!alarm.about) return h("a", { ...props, href: "#/health" }, inside);
  const filter = () => {
    location.hash = "#/calls";
    window.dispatchEvent(new CustomEvent("frontdesk:filter", { detail: alarm.about }));
  };
  return h("button", { ...props, type: "button", "data-about": alarm.about, title: "Show only these calls", onclick: filter }, inside);
}

window.setInterval(() => {
  if (!me) return;
  const late = isLate();
  pulse.dataset.is = late ? "late" : "live";
  const s = Math.round((Date.now() - live.heardAt) / 1000);
  text(document.getElementById("pulse-says"), late ? (live.heardAt ? `no news for ${s} s` : "connecting") : "live");
}, 1000);

keepTheme();
keepWayOut(login, () => me);
enter();
