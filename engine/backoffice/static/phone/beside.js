// Beside the telephone: captions, and what happens in the call, as the call's own record has it.

import { get } from "../ops/api.js";
import { clock, h, text } from "../ops/dom.js";
import { lanes } from "../ops/lanes.js";
import { moments, talk } from "../ops/story.js";
import { steps } from "./steps.js";

const SAYS = { caller: "You", agent: "They", script: "Script", operator: "Operator" };
const KEPT_TRIES = 8;
const BLIND = "Captions come from the gateway: for them the back office needs FRONTDESK_GATEWAYS and FRONTDESK_ADMIN_TOKEN.";
const FLOORS = { caller: "Listening to you", agent: "Speaking", script: "The script speaks", human: "The operator speaks", nobody: "Your turn" };

export function beside(setup) {
  const floor = h("span", { class: "word", hidden: true });
  const said = h("div", { class: "captions", role: "log", "aria-label": "Captions", tabindex: "0" });
  const picture = lanes();
  const list = h("div", { class: "steps-box", tabindex: "0", role: "group", "aria-label": "What happens, step by step" });
  const every = h("div", {});
  const details = h("details", { ontoggle: () => paintEvery() }, h("summary", {}, "Every moment, in words"), every);
  const more = h("p", {});
  const captions = h("section", { class: "panel talk-panel" }, h("div", { class: "head" }, h("h2", {}, "Captions"), floor), h("div", { class: "body" }, said));
  const what = h("section", { class: "panel what" }, h("div", { class: "head" }, h("h2", {}, "What happens")),
    h("div", { class: "body" }, picture.node, list, details, more));
  const node = h("div", { class: "beside" }, captions, what);

  let stream = null;
  let at = { tenant: "", sid: "", since: 0 };
  let timeline = [];
  let spoken = "";
  let live = false;
  let heardAt = 0;
  blank(setup.captions ? "Call a business, and say what you would say on the telephone: ask for prices, hours or the way, book something, ask for a person. What is said appears here." : BLIND);

  function blank(words) {
    said.replaceChildren(h("p", { class: "quiet" }, words));
    list.replaceChildren(h("p", { class: "quiet" }, setup.captions ? "Turns, what was looked up for them and where it stands, tools, and hand-overs between models." : ""));
    picture.paint([], 0);
  }

  function follow(tenant, sid) {
    at = { tenant, sid, since: Date.now() };
    timeline = [];
    spoken = "";
    live = true;
    more.replaceChildren();
    every.replaceChildren();
    if (!setup.captions) return;
    blank("It rings…");
    open();
  }

  function open() {
    if (!live) return;
    stream = new EventSource(`/ops/stream/${encodeURIComponent(at.tenant)}/${encodeURIComponent(at.sid)}`);
    stream.addEventListener("call", (event) => take(JSON.parse(event.data)));
    // Told while the call is not on a line: before it is, and between two streams. It is asked for again.
    stream.addEventListener("gone", () => { stream.close(); window.setTimeout(open, 700); });
    stream.addEventListener("error", () => stream.readyState === EventSource.CLOSED && window.setTimeout(open, 3000));
  }

  function take(told) {
    at.since = told.call.since ? 1000 * told.call.since : at.since;
    if (told.first === 0) timeline = told.timeline;
    else timeline = [...timeline.slice(0, told.first), ...told.timeline];
    floor.hidden = false;
    floor.dataset.floor = told.call.floor;
    text(floor, FLOORS[told.call.floor] || told.call.floor);
    captioned(told.transcript);
    if (told.timeline.length) {
      heardAt = Date.now();
      paint();
    } else picture.paint(timeline, reached());
  }

  function captioned(transcript) {
    const talked = JSON.stringify(transcript);
    if (talked === spoken || !transcript.length) return;
    spoken = talked;
    keepUp(said, () => said.replaceChildren(talk(transcript, SAYS)));
  }

  // A call goes on between two moments of it.
  const reached = () => (timeline.length ? timeline.at(-1).at_ms + (live ? Date.now() - heardAt : 0) : 0);

  function paint(until = reached()) {
    picture.paint(timeline, until);
    keepUp(list, () => list.replaceChildren(steps(timeline)));
    paintEvery();
  }

  function paintEvery() {
    if (details.open) every.replaceChildren(moments([...timeline].reverse()));
  }

  // The record of a call that is over has its last words too; it is there moments later.
  async function over() {
    live = false;
    if (stream) stream.close();
    floor.hidden = true;
    if (!setup.captions) return;
    const { tenant, sid } = at;
    for (let tries = 0; tries < KEPT_TRIES && !live; tries++) {
      await new Promise((done) => { window.setTimeout(done, 500 * (tries + 1)); });
      const calls = `/v1/tenants/${encodeURIComponent(tenant)}/calls`;
      const newest = await get(`${calls}?limit=10`).catch(() => ({ items: [] })); // asked for by name it would be an error until it is kept
      if (!newest.items.some((one) => one.call_sid === sid)) continue;
      const kept = await get(`${calls}/${encodeURIComponent(sid)}`).catch(() => null);
      if (live || sid !== at.sid) return;
      if (!kept) continue;
      timeline = kept.timeline;
      captioned(kept.transcript);
      paint(1000 * kept.duration_s);
      more.replaceChildren(`${clock(kept.duration_s)}, ended: ${kept.reason.replaceAll("_", " ")}. `, h("a", { href: `/ops#/history/${tenant}/${sid}` }, "See it in the history"));
      return;
    }
  }

  return { node, follow, over, close: () => { live = false; if (stream) stream.close(); } };
}

// Scrolls on with what is new, unless somebody has scrolled back to read.
function keepUp(box, change) {
  const follows = box.scrollTop + box.clientHeight >= box.scrollHeight - 30;
  change();
  if (follows) box.scrollTop = box.scrollHeight;
}
