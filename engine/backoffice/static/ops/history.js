// Calls that have ended: found by tenant, outcome, caller and day; each with all that was kept of it.

import { get, query } from "./api.js";
import { clock, failed, h, phone, plural, put, show, text, when, zone } from "./dom.js";
import { lanes } from "./lanes.js";
import { moments, talk } from "./story.js";
import { allTenants } from "./tenants.js";

const OUTCOMES = ["success", "client", "server", "upstream", "indeterminate"];
const SAYS = { success: "success", client: "caller or line", server: "our fault", upstream: "a provider's", indeterminate: "not known" };
const WEIGHS = { server: "bad", upstream: "watch", indeterminate: "watch" };

const AGAIN = 6; // looks for a call that has only just ended
const AGAIN_MS = 1500;

let chosen = ""; // the tenant that was looked at last

export function historyView({ me, rest }) {
  let tenants = [];
  const which = h("select", { "aria-label": "Tenant", onchange: () => { location.hash = `#/history/${which.value}`; } });
  const outcome = h("select", { "aria-label": "Outcome", onchange: () => list() }, h("option", { value: "" }, "Any outcome"), OUTCOMES.map((one) => h("option", { value: one }, SAYS[one])));
  const caller = h("input", { class: "field", type: "search", placeholder: "+1 555…", "aria-label": "Caller's number", onchange: () => list() });
  const day = h("input", { class: "field", type: "date", "aria-label": "Day", onchange: () => list() });
  const body = h("tbody", {});
  const more = h("button", { class: "button", type: "button", hidden: true }, "Older calls");
  const note = h("p", { class: "notice", hidden: true });
  const board = h("section", { class: "panel board", "aria-label": "Calls that have ended" },
    h("div", { class: "head filters" }, which, outcome, h("div", { class: "search" }, caller), h("div", {}, day)),
    h("div", { class: "scroll" }, h("table", { class: "past" }, h("thead", {}, h("tr", {}, [["Ended", h("small", {}, ` ${zone()} time`)], "Caller", "Outcome"].map((name) => h("th", { scope: "col" }, name)), ["Turns", "Lasted"].map((name) => h("th", { scope: "col", class: "num" }, name)))), body), note, h("div", { class: "notice more" }, more)));
  const split = h("div", { class: "split" }, board);
  show(h("div", { class: "view" }, h("h1", { class: "visually-hidden" }, "History"), split));
  let shut = null;
  let asked = 0;
  let shown = "";

  async function route([tenant, sid] = []) {
    if (!tenants.length) {
      try {
        tenants = await allTenants(me);
      } catch (error) {
        show(failed(error));
        return;
      }
      which.replaceChildren(...tenants.map((one) => h("option", { value: one.id }, one.name)));
    }
    if (shut) shut();
    shut = null;
    chosen = tenant || chosen || tenants[0]?.id || "";
    which.value = chosen;
    split.classList.toggle("open", Boolean(sid));
    if (shown !== chosen && chosen) await list();
    for (const row of body.children) row.setAttribute("aria-selected", String(row.dataset.sid === sid));
    if (sid) shut = pastCall(split, chosen, sid);
  }

  async function list(cursor = "") {
    const number = ++asked;
    shown = chosen;
    const from = day.value ? new Date(`${day.value}T00:00:00`) : null;
    const until = from ? new Date(from.getTime() + 86400000) : null;
    const digits = caller.value.trim().startsWith("+") ? `+${caller.value.replace(/\D/g, "")}` : caller.value.trim();
    try {
      const page = await get(`/v1/tenants/${chosen}/calls${query({ limit: 50, cursor, outcome: outcome.value, caller: digits, since: from?.toISOString(), until: until?.toISOString() })}`);
      if (number !== asked) return;
      if (!cursor) body.replaceChildren();
      put(body, page.items.map(past));
      more.hidden = !page.next_cursor;
      more.onclick = () => list(page.next_cursor);
      note.hidden = body.children.length > 0;
      text(note, "No call fits.");
    } catch (error) {
      note.hidden = false;
      text(note, error.message);
    }
  }

  function past(one) {
    const go = () => { location.hash = `#/history/${chosen}/${one.call_sid}`; };
    return h("tr", { "data-sid": one.call_sid, class: "openable", onclick: go },
      h("td", {}, h("a", { href: `#/history/${chosen}/${one.call_sid}` }, h("time", { dateTime: one.ended_at }, when(one.ended_at)))), h("td", { class: "num-list" }, phone(one.caller)),
      h("td", {}, h("span", { class: WEIGHS[one.outcome] || "" }, one.reason.replaceAll("_", " "))), h("td", { class: "num" }, one.turns), h("td", { class: "num" }, clock(one.duration_s)));
  }

  const leave = () => shut && shut();
  leave.route = route;
  route(rest);
  return leave;
}

function pastCall(into, tenant, sid) {
  const panel = h("aside", { class: "panel call-view", "aria-label": "Call" }, h("p", { class: "notice" }, "Looking it up…"));
  into.append(panel);
  const path = `/v1/tenants/${tenant}/calls/${sid}`;
  const close = () => { location.hash = `#/history/${tenant}`; };
  const escape = (event) => event.key === "Escape" && close();
  window.addEventListener("keydown", escape);

  function fill(call, recordings) {
    const title = h("h2", { tabindex: "-1" }, phone(call.caller));
    const picture = lanes();
    const sounds = [...recordings.map((one) => sound("Recording", one.audio || `${path}/recording`, one.duration_s)), ...call.messages.map((one) => sound("Message left", one.audio, one.duration_s))];
    panel.replaceChildren(
      h("div", { class: "head" }, h("div", { class: "who" }, title, h("p", { class: "quiet" }, `${tenant} · ${when(call.ended_at)} (${zone()}) · ${clock(call.duration_s)} · ${plural(call.turns, "turn")}`)),
        h("strong", { class: WEIGHS[call.outcome] || "good" }, call.reason.replaceAll("_", " ")), h("button", { class: "button", type: "button", onclick: close }, "Close")),
      h("div", { class: "scroll" },
        call.detail && h("section", {}, h("h3", {}, "How it ended"), h("p", {}, call.detail)),
        sounds.length > 0 && h("section", {}, h("h3", {}, "Listen"), sounds),
        h("section", {}, h("h3", {}, "Timeline"), picture.node),
        h("section", {}, h("h3", {}, "Transcript"), talk(call.transcript)),
        h("section", {}, h("h3", {}, "Call"), h("p", { class: "mono" }, sid)),
        h("section", {}, h("details", {}, h("summary", {}, "Every moment, in words"), moments(call.timeline)))));
    picture.paint(call.timeline, Math.max(1000 * call.duration_s, call.timeline.at(-1)?.at_ms || 0));
    picture.toStart();
    title.focus({ preventScroll: true });
  }

  let again = 0;
  let left = false;
  async function look(tries) {
    try {
      const call = await get(path);
      fill(call, await recordingsOf(tenant, sid));
    } catch (error) {
      if (left) return;
      if (error.status === 404 && tries > 0) again = window.setTimeout(look, AGAIN_MS, tries - 1);
      if (tries < AGAIN) return; // it is said already
      const words = error.status === 404 ? "Nothing is kept of that call (yet): it appears here moments after its end." : error.message;
      panel.replaceChildren(h("div", { class: "head" }, h("div", { class: "who" }, h("h2", {}, "Call")), h("button", { class: "button", type: "button", onclick: close }, "Close")), h("p", { class: "notice" }, words));
    }
  }
  look(AGAIN);
  return () => {
    left = true;
    window.clearTimeout(again);
    window.removeEventListener("keydown", escape);
    panel.remove();
  };
}

function sound(name, source, seconds) {
  return h("figure", { class: "sound" }, h("figcaption", {}, `${name}${seconds ? `, ${clock(seconds)}` : ""}`), h("audio", { controls: true, preload: "none", src: source, "aria-label": name }));
}

// An installation may keep none, and a key may not be allowed to hear them: then there is nothing to play.
async function recordingsOf(tenant, sid) {
  try {
    const page = await get(`/v1/tenants/${tenant}/recordings${query({ call_sid: sid })}`);
    return page.items.filter((one) => one.call_sid === sid);
  } catch {
    return [];
  }
}
