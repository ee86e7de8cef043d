// One call on the line: heard, read, and taken over.

import { post } from "./api.js";
import { announce, attr, clock, h, ms, phone, text } from "./dom.js";
import { lanes } from "./lanes.js";
import { now } from "./live.js";
import { moments, talk } from "./story.js";

const FLOOR_DB = -60;
const share = (dbfs) => Math.max(0, Math.min(1, (dbfs - FLOOR_DB) / -FLOOR_DB));

export function callPanel({ into, tenant, sid, me, onClose }) {
  const path = `/v1/tenants/${encodeURIComponent(tenant)}/live/calls/${encodeURIComponent(sid)}`;
  const title = h("h2", { tabindex: "-1" }, "Call");
  const under = h("p", { class: "quiet" });
  const floor = h("span", { class: "word" });
  const over = h("p", { class: "over", hidden: true, role: "status" });
  const close = h("button", { class: "button", type: "button", onclick: onClose }, "Close");
  const orders = orderForm({ path, me });
  const meters = levels();
  const picture = lanes();
  const said = h("div", { class: "talk-box", role: "log", "aria-live": "off", "aria-label": "Transcript", tabindex: "0" });
  const figures = h("dl", { class: "facts" });
  const list = h("div", {});
  const every = h("details", { ontoggle: () => paintList() }, h("summary", {}, "Every moment, in words"), list);
  const panel = h("aside", { class: "panel call-view", "aria-label": "Call" },
    h("div", { class: "head" }, h("div", { class: "who" }, title, under), floor, close), over,
    h("div", { class: "scroll" },
      h("section", { "aria-label": "Take over" }, orders.node),
      h("section", {}, h("h3", {}, "Heard now"), meters.node),
      h("section", {}, h("h3", {}, "Timeline"), picture.node),
      h("section", {}, h("h3", {}, "Transcript"), said),
      h("section", {}, h("h3", {}, "Figures"), figures),
      h("section", {}, every)));
  into.append(panel);
  title.focus({ preventScroll: true });
  const escape = (event) => event.key === "Escape" && !document.querySelector("dialog[open]") && onClose();
  window.addEventListener("keydown", escape);

  let call = null;
  let timeline = [];
  let spoken = "";
  let ended = false;

  const stream = new EventSource(`/ops/stream/${encodeURIComponent(tenant)}/${encodeURIComponent(sid)}`);
  stream.addEventListener("call", (event) => {
    const told = JSON.parse(event.data);
    over.hidden = true;
    call = told.call;
    const known = timeline.length ? timeline[timeline.length - 1].n + 1 : 0;
    timeline = told.first === known && known ? [...timeline, ...told.timeline] : told.first > 0 && told.first < known ? timeline : told.timeline.length || !known ? told.timeline : timeline;
    orders.people(told.tenant.people);
    meters.paint(told.level);
    if (!known) draw();
    else head();
    const talked = JSON.stringify(told.transcript);
    if (talked !== spoken) {
      spoken = talked;
      const follows = said.scrollTop + said.clientHeight >= said.scrollHeight - 30; // else somebody is reading
      said.replaceChildren(talk(told.transcript));
      if (follows) said.scrollTop = said.scrollHeight;
    }
    paintFigures(told);
    if (told.timeline.length) paintList();
  });
  stream.addEventListener("away", (event) => note(JSON.parse(event.data).says));
  stream.addEventListener("gone", () => {
    stream.close();
    ended = true;
    note("This call is over.");
    over.append(" ", h("a", { href: `#/history/${encodeURIComponent(tenant)}/${encodeURIComponent(sid)}` }, "See how it ended"));
    orders.off();
    meters.paint({ caller_dbfs: -100, agent_dbfs: -100 });
    text(floor, "over");
    attr(floor, "data-floor", "nobody");
  });

  function note(words) {
    over.hidden = false;
    text(over, words.charAt(0).toUpperCase() + words.slice(1));
  }

  function head() {
    text(title, phone(call.caller));
    text(under, `${tenant} · ${clock(now() - call.since)} · turn ${call.turn} · ${call.model || "no model"} · ${call.worker}`);
    text(floor, call.ending ? "ending" : call.floor === "human" ? "operator" : call.floor);
    attr(floor, "data-floor", call.floor);
  }

  function paintFigures(told) {
    const { counts } = told;
    const faults = Object.entries(call.faults).map(([kind, n]) => `${kind.replaceAll("_", " ")} ${n}`).join(", ");
    const queues = Object.entries(call.queues).filter(([, n]) => n).map(([name, n]) => `${name} ${n}`).join(", ");
    const rows = {
      "Last answer": ms(call.response_ms), Sessions: call.sessions, "Hand-overs": call.handovers, Faults: faults || "none", "Actors down": call.down.join(", ") || "none",
      Restarted: call.restarted.join(", ") || "none", Queues: queues || "empty", Underruns: counts.underruns, "Late frames": counts.late_frames, Padded: ms(counts.padded_ms),
      Pauses: counts.pauses, Tokens: Object.values(told.tokens).reduce((a, b) => a + b, 0), Call: sid,
    };
    const written = JSON.stringify(rows);
    if (figures.dataset.written === written) return;
    figures.dataset.written = written;
    figures.replaceChildren(...Object.entries(rows).map(([name, value]) => h("div", { class: name === "Call" ? "whole" : "" }, h("dt", {}, name), h("dd", { class: name === "Call" ? "mono" : "" }, String(value)))));
  }

  function paintList() {
    if (every.open) list.replaceChildren(moments([...timeline].reverse()));
  }

  // The picture grows with time, not with news: once a second is what an eye needs.
  function draw() {
    head();
    picture.paint(timeline, 1000 * (now() - call.since));
  }
  const beat = window.setInterval(() => call && !ended && draw(), 1000);

  return () => {
    stream.close();
    window.clearInterval(beat);
    window.removeEventListener("keydown", escape);
    panel.remove();
  };
}

function levels() {
  const meter = (name, way) => {
    const bar = h("i", {});
    const says = h("span", { class: "num" });
    const node = h("div", { class: `meter ${way}`, role: "meter", "aria-label": `${name}, dBFS`, "aria-valuemin": "-60", "aria-valuemax": "0" }, bar);
    return { nodes: [h("span", {}, name), node, says], paint: (dbfs) => {
      bar.style.transform = `scaleX(${share(dbfs).toFixed(3)})`;
      attr(node, "aria-valuenow", Math.max(-60, Math.round(dbfs)));
      text(says, dbfs <= FLOOR_DB ? "silent" : `${Math.round(dbfs)} dB`);
    } };
  };
  const caller = meter("Caller", "in");
  const agent = meter("Agent", "out");
  return { node: h("div", { class: "levels" }, caller.nodes, agent.nodes), paint: (level) => { caller.paint(level.caller_dbfs); agent.paint(level.agent_dbfs); } };
}

function orderForm({ path, me }) {
  const result = h("output", {});
  const line = h("textarea", { class: "field", rows: 2, maxLength: 400, required: true, placeholder: "Said at once, in the offline voice. The agent falls silent for it." });
  const to = h("select", {});
  const may = me.scopes.includes("calls");
  const send = h("button", { class: "button main", type: "submit" }, "Say it");
  const transfer = h("button", { class: "button", type: "button", onclick: () => order(transfer, "transfer", { to: to.value }, `Putting the caller through to ${to.value}.`) }, "Put through");
  const hangUp = h("button", { class: "button danger", type: "button", onclick: () => sure().then((yes) => yes && order(hangUp, "hang-up", {}, "Saying goodbye, then hanging up.")) }, "Hang up…");
  const buttons = [send, transfer, hangUp];
  let people = null;

  async function order(button, what, body, done) {
    button.disabled = true;
    result.className = "";
    text(result, what === "say" ? "Speaking…" : "Ordered…");
    try {
      await post(`${path}/${what}`, body);
      text(result, done);
      if (what === "say") line.value = "";
      announce(done);
    } catch (error) {
      result.className = "bad";
      text(result, error.message);
    } finally {
      button.disabled = false;
    }
  }

  const node = h("form", { class: "orders", onsubmit: (event) => { event.preventDefault(); order(send, "say", { text: line.value.trim() }, "The caller hears it now."); } },
    h("div", { class: "line" }, h("label", { class: "named" }, "Say to the caller", line), send),
    h("div", { class: "ways" }, h("label", { class: "named" }, "Put through to", to), transfer, hangUp), result);
  line.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); node.requestSubmit(); } });
  if (!may) off();

  function off() {
    for (const button of buttons) button.disabled = true;
    line.disabled = to.disabled = true;
  }
  return { node, off, people: (known) => {
    const key = known.map((one) => one.name).join("|");
    if (key === people) return;
    people = key;
    to.replaceChildren(...known.map((one) => h("option", { value: one.name }, `${one.name} (${one.for})`)));
    to.disabled = transfer.disabled = !known.length || !may;
    if (!known.length) to.append(h("option", {}, "nobody is listed"));
  } };
}

function sure() {
  return new Promise((answer) => {
    const dialog = h("dialog", { "aria-labelledby": "sure-title", onclose: () => { answer(dialog.returnValue === "yes"); dialog.remove(); } },
      h("form", { method: "dialog" }, h("h2", { id: "sure-title" }, "Hang up on this caller?"),
        h("p", {}, "They hear the tenant's goodbye first. The call cannot be brought back."),
        h("div", { class: "actions" }, h("button", { class: "button", value: "no", autofocus: true }, "Keep the call"), h("button", { class: "button danger", value: "yes" }, "Hang up"))));
    document.body.append(dialog);
    dialog.showModal();
  });
}
