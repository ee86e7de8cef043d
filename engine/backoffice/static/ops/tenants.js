// The businesses that this installation answers for.

import { get, query } from "./api.js";
import { failed, h, phone, plural, show, text } from "./dom.js";
import { live, onBoard } from "./live.js";

// All of them, page by page.
export async function allTenants(me) {
  if (me.tenant_id) {
    const own = await get(`/v1/tenants/${me.tenant_id}`);
    return [{ id: own.id, name: own.name, numbers: own.numbers }];
  }
  const found = [];
  let cursor = "";
  do {
    const page = await get(`/v1/tenants${query({ limit: 200, cursor })}`);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && found.length < 5000);
  return found;
}

const numbers = (one) => (one.numbers.length ? one.numbers.map((number, i) => [i ? ", " : "", h("span", { class: "whole-number" }, phone(number))]) : "no number");

export function tenantsView({ me }) {
  const body = h("tbody", {});
  const counts = new Map();
  const find = h("input", { class: "field search", type: "search", placeholder: "Name, id or number", "aria-label": "Find tenants", oninput: () => paint() });
  const view = h("div", { class: "view" }, h("div", { class: "view-head" }, h("h1", {}, "Tenants"), h("div", {}, find)),
    h("div", { class: "panel scroll" }, h("table", { class: "stacked" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Tenant"), h("th", { scope: "col", class: "wide" }, "Numbers"),
      h("th", { scope: "col", class: "num" }, "On the line"), h("th", { scope: "col" }, "See"))), body)));
  show(view);
  let all = [];

  function paint() {
    const wanted = find.value.trim().toLowerCase();
    const found = all.filter((one) => `${one.name} ${one.id} ${one.numbers.join(" ")}`.toLowerCase().includes(wanted));
    counts.clear();
    body.replaceChildren(...found.map((one) => {
      const now = h("td", { class: "num" });
      counts.set(one.id, now);
      return h("tr", {}, h("td", {}, h("strong", {}, one.name), h("div", { class: "quiet mono" }, one.id), h("div", { class: "small quiet num-list" }, numbers(one))),
        h("td", { class: "num-list wide" }, numbers(one)), now,
        h("td", {}, h("a", { href: `#/history/${one.id}` }, "History"), " ", h("a", { href: `#/usage/${one.id}` }, "Usage")));
    }));
    if (!found.length) body.append(h("tr", {}, h("td", { colSpan: 4, class: "quiet" }, all.length ? "No tenant fits." : "There is no tenant yet: import one with frontdesk tenant import.")));
    count();
  }

  function count() {
    const on = new Map();
    for (const row of live.rows.values()) on.set(row.tenant_id, (on.get(row.tenant_id) || 0) + 1);
    for (const [id, cell] of counts) text(cell, on.get(id) || 0);
  }

  async function load() {
    try {
      all = await allTenants(me);
      view.querySelector("h1").textContent = plural(all.length, "tenant");
      paint();
    } catch (error) {
      show(failed(error, () => tenantsView({ me })));
    }
  }
  load();
  return onBoard(count);
}
