// One telephone: whom to call, the call, its keys, and beside it what the call's own record says.

import { post } from "../ops/api.js";
import { announce, attr, clock, h, phone, show, text } from "../ops/dom.js";
import { beside } from "./beside.js";
import { keypad } from "./keypad.js";
import { openLine } from "./line.js";
import { openSound } from "./sound.js";
import { speak } from "./speak.js";

const FLOOR_DB = -60;
const CALLER = "+15550100199"; // from the range that nobody has

export function telephone(setup) {
  const whom = h("select", { id: "whom" }, setup.tenants.map((one) => h("option", { value: one.id }, one.name)));
  const number = h("span", { class: "number quiet num" });
  const named = () => text(number, phone(setup.tenants.find((one) => one.id === whom.value)?.numbers[0]));
  whom.addEventListener("change", named);
  if (setup.tenants.length) named();
  const caller = h("input", { class: "field", value: CALLER, inputMode: "tel", autocomplete: "off", pattern: "\\+[1-9][0-9]{6,14}", required: true });
  const dial = h("button", { class: "button main go", type: "submit" }, "Call");
  const wrong = h("p", { class: "mistake", role: "alert" });
  const form = h("form", { class: "whom", onsubmit: (event) => { event.preventDefault(); begin(); } },
    h("div", {}, h("label", { class: "named" }, "Business", whom), number), h("label", { class: "named" }, "Your number, as they see it", caller), dial);
  const state = h("p", { class: "state", role: "status" });
  const hint = h("p", { class: "quiet" });
  const timer = h("span", { class: "timer num", "aria-hidden": "true" });
  const mute = h("button", { class: "button", type: "button", "aria-pressed": "false", onclick: () => setMuted(!muted) }, "Mute");
  const hangUp = h("button", { class: "button danger", type: "button", onclick: () => call && call.line.hangUp() }, "Hang up");
  const levels = meters();
  const keys = keypad((digit) => call && call.line.press(digit));
  const onCall = h("div", { class: "on-call", hidden: true }, levels.node, h("div", { class: "ways" }, mute, hangUp),
    h("details", { open: window.innerWidth > 720 }, h("summary", {}, "Keypad"), keys.node));
  const notes = h("ul", { class: "asides" });
  const story = beside(setup);
  show(h("div", { class: "phone" },
    h("section", { class: "panel handset", "aria-labelledby": "phone-title" },
      h("div", { class: "head" }, h("h1", { id: "phone-title" }, "Phone"), timer), h("div", { class: "body" }, form, wrong, state, hint, onCall, notes)),
    story.node));

  let call = null; // { line, sound, since, name }
  let busy = false;
  let muted = false;
  let left = false;
  if (setup.trouble) refuse(setup.trouble);
  else if (!setup.tenants.length) refuse("No business has a number yet: import one with frontdesk tenant import.");
  else text(hint, "Use headphones if you can: then you can cut in while they speak.");

  function refuse(why) {
    text(wrong, why);
    dial.disabled = true;
  }

  async function begin() {
    if (busy || call) return;
    busy = dial.disabled = true;
    text(wrong, "");
    notes.replaceChildren();
    text(hint, "");
    text(state, "Asking for the microphone…");
    let sound = null;
    try {
      // Asked first: nobody is to be called by somebody who cannot speak.
      sound = await openSound({
        onFrame: (bytes) => call && call.line.frame(bytes),
        onMark: (name) => call && call.line.mark(name),
        onLevel: (who, dbfs) => levels.paint(who, who === "caller" && muted ? -100 : dbfs),
      });
      text(state, "Calling…");
      const rung = await post("/phone/calls", { tenant_id: whom.value, caller: caller.value });
      if (left) return sound.close();
      const name = setup.tenants.find((one) => one.id === whom.value).name;
      const line = openLine(rung.line, { sound, onTold: (told) => hear(told), onOver: (why, problems) => end(why, problems) });
      call = { line, sound, since: Date.now(), name };
      sound.lost(() => note("The microphone is gone: it was disconnected, or the browser took it back."));
      setMuted(false);
      form.hidden = true;
      onCall.hidden = false;
      story.follow(rung.tenant_id, rung.call_sid, name);
      text(state, `Connecting to ${name}…`);
      hangUp.focus();
    } catch (error) {
      if (sound) sound.close();
      text(wrong, error.message);
      text(state, "");
    } finally {
      busy = dial.disabled = false;
    }
    return undefined;
  }

  function hear(told) {
    if (told.event === "start") {
      if (call.broken) note("The line to the gateway broke, and is up again: the call goes on.");
      call.broken = false;
      text(state, `On the line with ${call.name}`);
    } else if (told.event === "stopped") {
      call.broken = told.broken;
      text(state, told.broken ? "The line to the gateway broke. Asking for another…" : "Waiting for what the gateway wants next…");
    } else if (told.event === "lost") {
      call.before = state.textContent;
      text(state, "Your connection broke. Trying to get back on the line…");
    } else if (told.event === "back") {
      text(state, call.before);
      note("Your connection broke, and is up again. What was said meanwhile is in the captions.");
    }
    if (told.event === "say") {
      note(`The carrier says: “${told.text}”`);
      speak(told.text, told.language).then(() => call && call.line.said());
    } else if (told.event === "dial") note(`The carrier would ring ${phone(told.number)} now, and connect you.`);
    else if (told.event === "note") note(told.says);
  }

  function note(words) {
    notes.append(h("li", {}, words));
    announce(words);
  }

  function end(why, problems) {
    if (!call) return;
    call.sound.close();
    call = null;
    const wasOnCall = onCall.contains(document.activeElement) || document.activeElement === document.body;
    form.hidden = false;
    onCall.hidden = true;
    text(state, why);
    text(dial, "Call again");
    text(timer, "");
    for (const one of problems) notes.append(h("li", { class: "watch" }, one));
    announce(why);
    story.over();
    if (wasOnCall) dial.focus();
  }

  function setMuted(now) {
    muted = now;
    if (call) call.sound.mute(muted);
    attr(mute, "aria-pressed", String(muted));
    text(mute, muted ? "Unmute" : "Mute");
  }

  const onKey = (event) => {
    if (!call || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "m") setMuted(!muted);
    else keys.pressed(event.key);
  };
  window.addEventListener("keydown", onKey);
  const onLeave = () => call && call.line.hangUp();
  window.addEventListener("pagehide", onLeave);
  const beat = window.setInterval(() => call && text(timer, clock((Date.now() - call.since) / 1000)), 500);

  return () => {
    left = true;
    onLeave();
    end("", []);
    story.close();
    window.clearInterval(beat);
    window.removeEventListener("keydown", onKey);
    window.removeEventListener("pagehide", onLeave);
  };
}

function meters() {
  const one = (name, way) => {
    const bar = h("i", {});
    const says = h("span", { class: "num" });
    const node = h("div", { class: `meter ${way}`, role: "meter", "aria-label": `${name}, dBFS`, "aria-valuemin": "-60", "aria-valuemax": "0" }, bar);
    let shown = -100;
    return { nodes: [h("span", {}, name), node, says], paint: (dbfs) => {
      shown = Math.max(dbfs, shown - 1.5); // falls slowly, or nobody could read it
      bar.style.transform = `scaleX(${Math.max(0, Math.min(1, (shown - FLOOR_DB) / -FLOOR_DB)).toFixed(3)})`;
      attr(node, "aria-valuenow", Math.max(FLOOR_DB, Math.round(shown)));
      text(says, shown <= FLOOR_DB ? "silent" : `${Math.round(shown)} dB`);
    } };
  };
  const by = { caller: one("You", "in"), agent: one("They", "out") };
  return { node: h("div", { class: "levels" }, by.caller.nodes, by.agent.nodes), paint: (who, dbfs) => by[who].paint(dbfs) };
}
