// A list of which only the rows in sight exist: whatever the number of calls, a screenful is laid out, once a second.

import { attr, clock, h, ms, phone, text } from "./dom.js";
import { now } from "./live.js";
import { draw } from "./ribbon.js";

const OVERSCAN = 6;

export class Rows {
  constructor({ onOpen }) {
    this.onOpen = onOpen;
    this.order = [];
    this.at = -1; // where the keyboard is
    this.chosen = "";
    this.slots = [];
    this.wanted = false;
    this.space = h("div", { class: "space", role: "presentation" });
    this.box = h("div", { class: "rows", role: "rowgroup", onscroll: () => this.paintSoon() }, this.space);
    this.node = h("div", { class: "grid", role: "grid", tabindex: "0", "aria-label": "Calls on the line", onkeydown: (event) => this.key(event),
      onblur: () => { this.at = -1; this.paintSoon(); } }, this.box);
    this.sized = new ResizeObserver(() => this.paintSoon());
    this.sized.observe(this.box);
  }

  close() {
    this.sized.disconnect();
  }

  set(order) {
    const held = this.order[this.at]?.call_sid;
    this.order = order;
    if (held) this.at = order.findIndex((row) => row.call_sid === held);
    attr(this.node, "aria-rowcount", order.length + 1);
    this.paintSoon();
  }

  paintSoon() {
    if (this.wanted) return;
    this.wanted = true;
    requestAnimationFrame(() => {
      this.wanted = false;
      this.paint();
    });
  }

  paint() {
    const narrow = this.node.clientWidth <= 560;
    const tall = narrow ? 62 : 44;
    const wide = this.slots[0]?.ribbon.clientWidth || 132; // read before anything is written: one layout, not one a row
    const height = `${this.order.length * tall}px`;
    const first = Math.max(0, Math.floor(this.box.scrollTop / tall) - OVERSCAN);
    const last = Math.min(this.order.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / tall) + OVERSCAN);
    if (this.space.style.height !== height) this.space.style.height = height;
    const t = now();
    for (let i = first; i < last; i++) {
      const slot = this.slot(i - first);
      slot.index = i;
      this.fill(slot, this.order[i], i, { tall, wide, t });
    }
    for (let i = last - first; i < this.slots.length; i++) this.slots[i].node.hidden = true;
    attr(this.node, "aria-activedescendant", this.at >= first && this.at < last ? `call-${this.at}` : null);
  }

  slot(i) {
    while (this.slots.length <= i) {
      const cell = (name, ...inside) => h("div", { role: "gridcell", class: name }, ...inside);
      const slot = { index: 0, ribbon: h("canvas", { class: "ribbon", "aria-hidden": "true" }), word: h("span", { class: "word" }) };
      slot.cells = { caller: cell("caller"), tenant: cell("tenant"), turn: cell("turn num right"), model: cell("model"), response: cell("response num right"), age: cell("age num right"), wrong: cell("wrong") };
      const c = slot.cells;
      slot.node = h("div", { class: "call", role: "row", onclick: () => this.onOpen(this.order[slot.index]) },
        cell("ribbon-cell", slot.ribbon), c.caller, c.tenant, cell("floor", slot.word), c.turn, c.model, c.response, c.age, c.wrong);
      this.space.append(slot.node);
      this.slots.push(slot);
    }
    return this.slots[i];
  }

  fill(slot, row, i, { tall, wide, t }) {
    const { node, cells } = slot;
    if (node.hidden) node.hidden = false;
    const place = `translateY(${i * tall}px)`;
    if (node.style.transform !== place) node.style.transform = place;
    attr(node, "id", `call-${i}`);
    attr(node, "aria-rowindex", i + 2);
    attr(node, "aria-selected", row.call_sid === this.chosen);
    attr(node, "data-weight", row.weight);
    node.classList.toggle("at", i === this.at);
    text(cells.caller, phone(row.caller));
    text(cells.tenant, row.tenant_id);
    text(slot.word, row.ending ? "ending" : row.floor);
    attr(slot.word, "data-floor", row.floor);
    text(cells.turn, row.turn);
    text(cells.model, row.model || "none");
    text(cells.response, ms(row.response_ms));
    text(cells.age, clock(t - row.since));
    text(cells.wrong, row.wrong.map((one) => one.says).join(", "));
    attr(cells.wrong, "title", cells.wrong.textContent);
    draw(slot.ribbon, row, wide, t);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / 44) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      const from = this.at < 0 ? (by > 0 ? -1 : 0) : this.at;
      this.at = Math.max(0, Math.min(this.order.length - 1, from + by));
      this.inSight();
    } else if ((event.key === "Enter" || event.key === " ") && this.order[this.at] && event.target === this.node) {
      event.preventDefault();
      this.onOpen(this.order[this.at]);
    }
  }

  inSight() {
    const tall = this.node.clientWidth <= 560 ? 62 : 44;
    const top = this.at * tall;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + tall > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + tall - this.box.clientHeight;
    this.paintSoon();
  }
}
