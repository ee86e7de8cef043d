// The calls on the line: found, filtered, sorted; one of them open beside the list.

import { callPanel } from "./call.js";
import { attr, h, plural, show, text } from "./dom.js";
import { live, onBoard } from "./live.js";
import { Rows } from "./rows.js";

const FILTERS = [["", "All"], ["trouble", "In trouble"], ["script", "On the script"], ["down", "Actor down"], ["slow", "Slow"], ["fault", "Faults"], ["queue", "Queues"]];
const COLUMNS = [
  ["", "Last minute", "ribbon-cell"], ["caller", "Caller", "caller"], ["tenant_id", "Tenant", "tenant"], ["floor", "Floor", "floor"], ["turn", "Turn", "turn right"],
  ["model", "Model", "model"], ["response_ms", "Answer", "response right"], ["since", "Age", "age right"], ["weight", "What is wrong", "wrong"],
];
const WEIGHTS = { bad: 0, watch: 1, "": 2 };
const STILL_MS = 2500;

const kept = { find: "", filter: "", sort: "weight", down: false }; // while the page is open, whatever view is shown

export function callsView({ me, rest }) {
  const list = new Rows({ onOpen: (row) => { location.hash = `#/calls/${row.tenant_id}/${row.call_sid}`; } });
  let pointedAt = 0;
  list.box.addEventListener("pointermove", () => { pointedAt = performance.now(); });
  const find = h("input", { class: "field search", type: "search", placeholder: "Caller, tenant, call or model", "aria-label": "Find calls", value: kept.find,
    oninput: () => { kept.find = find.value; update(true); } });
  const chips = FILTERS.map(([name, says]) => h("button", { class: "chip", type: "button", "data-filter": name, onclick: () => pick(name) }, says));
  const count = h("span", { class: "count num" });
  const heads = COLUMNS.map(([name, says, place]) => h("div", { role: "columnheader", class: place, "data-sort": name },
    name ? h("button", { type: "button", onclick: () => sortBy(name) }, says) : says));
  list.node.prepend(h("div", { role: "rowgroup" }, h("div", { class: "cols", role: "row" }, heads)));
  const none = h("div", { class: "notice", hidden: true });
  const board = h("section", { class: "panel board", "aria-label": "Calls" },
    h("div", { class: "head" }, find, h("div", { class: "chips", role: "group", "aria-label": "Show" }, chips), count),
    none, list.node,
    h("div", { class: "legend", "aria-hidden": "true" }, ["caller", "agent", "script", "human", "nobody"].map((floor) =>
      h("span", { class: "word", "data-floor": floor }, floor === "human" ? "operator" : floor))));
  board.querySelector(".head").classList.add("panel-head");
  const split = h("div", { class: "split" }, board);
  const view = h("div", { class: "view" }, h("h1", { class: "visually-hidden" }, "Calls on the line"), split);
  show(view);

  let shut = null;
  function route([tenant, sid] = []) {
    if (shut) shut();
    shut = null;
    list.chosen = sid || "";
    split.classList.toggle("open", Boolean(sid));
    if (sid) {
      shut = callPanel({ into: split, tenant, sid, me, onClose: () => { location.hash = "#/calls"; } });
    } else if (board.contains(document.activeElement) || document.activeElement === document.body) list.node.focus({ preventScroll: true });
    list.paintSoon();
  }

  function pick(name) {
    kept.filter = name;
    update(true);
  }

  function sortBy(name) {
    kept.down = kept.sort === name ? !kept.down : false;
    kept.sort = name;
    update(true);
  }

  function fits(row) {
    if (kept.filter === "trouble" ? !row.weight : kept.filter && !row.wrong.some((one) => one.kind === kept.filter)) return false;
    const wanted = kept.find.trim().toLowerCase();
    if (!wanted) return true;
    const digits = wanted.replace(/[^\d]/g, "");
    return [row.caller, row.tenant_id, row.call_sid, row.model, row.worker].some((one) => one.toLowerCase().includes(wanted))
      || (digits.length > 2 && row.caller.includes(digits));
  }

  function compare(a, b) {
    const [x, y] = kept.sort === "weight" ? [WEIGHTS[a.weight], WEIGHTS[b.weight]] : [a[kept.sort] ?? -1, b[kept.sort] ?? -1];
    const order = x < y ? -1 : x > y ? 1 : 0;
    return (kept.down ? -order : order) || a.since - b.since || (a.call_sid < b.call_sid ? -1 : 1);
  }

  function update(moved = false) {
    const found = [...live.rows.values()].filter(fits);
    if (!moved && performance.now() - pointedAt < STILL_MS) {
      // Somebody is about to click: what they point at must stay where it is.
      const places = new Map(list.order.map((row, i) => [row.call_sid, i]));
      found.sort((a, b) => (places.get(a.call_sid) ?? Infinity) - (places.get(b.call_sid) ?? Infinity) || compare(a, b));
    } else found.sort(compare);
    list.set(found);
    if (moved) list.box.scrollTop = 0;
    text(count, found.length === live.rows.size ? plural(found.length, "call") : `${found.length} of ${plural(live.rows.size, "call")}`);
    for (const chip of chips) {
      const of = chip.dataset.filter;
      attr(chip, "aria-pressed", of === kept.filter);
      if (of) chip.hidden = of !== kept.filter && !FILTERS.slice(1, 2).some(([name]) => name === of) && ![...live.rows.values()].some((row) => row.wrong.some((one) => one.kind === of));
    }
    for (const head of heads) attr(head, "aria-sort", head.dataset.sort && head.dataset.sort === kept.sort ? (kept.down ? "descending" : "ascending") : null);
    none.hidden = found.length > 0;
    list.node.hidden = !found.length;
    if (!found.length) none.replaceChildren(...emptiness());
  }

  function emptiness() {
    if (live.rows.size) return [h("strong", {}, "No call fits"), h("button", { class: "button", type: "button", onclick: () => { find.value = kept.find = ""; pick(""); } }, "Show all")];
    return [h("strong", {}, live.heardAt ? "Nobody is on the line" : "Waiting for the gateways"), "A call appears here within a second of being answered."];
  }

  const unsubscribe = onBoard(() => update());
  const filter = (event) => pick(event.detail);
  const slash = (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName)) {
      event.preventDefault();
      find.focus();
    }
  };
  window.addEventListener("frontdesk:filter", filter);
  window.addEventListener("keydown", slash);
  const repaint = () => list.paintSoon();
  window.addEventListener("frontdesk:theme", repaint);
  update();
  route(rest);

  const leave = () => {
    if (shut) shut();
    unsubscribe();
    list.close();
    window.removeEventListener("frontdesk:filter", filter);
    window.removeEventListener("keydown", slash);
    window.removeEventListener("frontdesk:theme", repaint);
  };
  leave.route = route;
  return leave;
}
