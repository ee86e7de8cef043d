// What a tenant's month comes to: its statement, closed or as it stands.

import { get } from "./api.js";
import { failed, h, show, text, when } from "./dom.js";
import { allTenants } from "./tenants.js";

const thisMonth = () => new Date().toISOString().slice(0, 7);
const figure = (amount) => Number(amount).toLocaleString(undefined, { maximumFractionDigits: 2 });

export function usageView({ me, rest }) {
  const which = h("select", { "aria-label": "Tenant", onchange: () => { location.hash = `#/usage/${which.value}`; } });
  const month = h("input", { class: "field", type: "month", value: thisMonth(), "aria-label": "Month", onchange: () => load() });
  const body = h("tbody", {});
  const foot = h("tfoot", {});
  const note = h("p", { class: "notice", hidden: true });
  const about = h("p", { class: "quiet" });
  show(h("div", { class: "view" }, h("div", { class: "view-head" }, h("h1", {}, "Usage"), which, h("div", {}, month)), about,
    h("div", { class: "panel scroll" }, h("table", { class: "stacked" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "What"), h("th", { scope: "col", class: "num" }, "Quantity"), h("th", { scope: "col", class: "num wide" }, "Included"),
        h("th", { scope: "col", class: "num wide" }, "Price"), h("th", { scope: "col", class: "num" }, "Amount"))), body, foot), note)));
  let tenants = [];
  let chosen = "";

  function line(one) {
    return h("tr", {}, h("td", {}, one.label), h("td", { class: "num" }, figure(one.quantity)), h("td", { class: "num wide" }, figure(one.included)),
      h("td", { class: "num wide" }, one.price === null ? "–" : `${one.price} / ${figure(one.unit)}`), h("td", { class: "num" }, one.amount));
  }

  async function load() {
    const path = `/v1/tenants/${chosen}/statements/${month.value}`;
    try {
      const said = await get(path);
      body.replaceChildren(...said.lines.map(line));
      foot.replaceChildren(h("tr", {}, h("th", { scope: "row" }, "Total"), h("td", { class: "num" }), h("td", { class: "wide" }), h("td", { class: "wide" }), h("td", { class: "num" }, h("strong", {}, `${said.total} ${said.currency}`))));
      about.replaceChildren(`${said.calls} calls. `, said.closed_at ? `Closed ${when(said.closed_at)}. ` : "Not closed: these are its figures so far. ");
      note.hidden = said.lines.length > 0;
      text(note, "Nothing was used in that month.");
    } catch (error) {
      body.replaceChildren();
      foot.replaceChildren();
      text(about, "");
      note.hidden = false;
      text(note, error.message);
    }
  }

  async function route([tenant] = []) {
    try {
      if (!tenants.length) tenants = await allTenants(me);
    } catch (error) {
      show(failed(error));
      return;
    }
    which.replaceChildren(...tenants.map((one) => h("option", { value: one.id }, one.name)));
    chosen = tenant || chosen || tenants[0]?.id || "";
    which.value = chosen;
    if (chosen) await load();
  }
  const leave = () => {};
  leave.route = route;
  route(rest);
  return leave;
}
