// What every page of ours has round it: the theme, and the way in and out.

import { post } from "./api.js";
import { h, show, text } from "./dom.js";

// --- theme: the system's, until somebody says otherwise ------------------------------------------------------------

const KEPT = "frontdesk-theme";
const THEMES = { system: "◐ Auto", light: "◐ Light", dark: "◐ Dark" };
const system = window.matchMedia("(prefers-color-scheme: dark)");
const chosen = () => (localStorage.getItem(KEPT) in THEMES ? localStorage.getItem(KEPT) : "system");

export function keepTheme() {
  const button = document.getElementById("theme");
  const paint = () => {
    const theme = chosen();
    document.documentElement.dataset.theme = theme === "system" ? (system.matches ? "dark" : "light") : theme;
    text(button, THEMES[theme]);
    button.setAttribute("aria-label", `Theme: ${theme}. Change`);
    window.dispatchEvent(new Event("frontdesk:theme"));
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    localStorage.setItem(KEPT, names[(names.indexOf(chosen()) + 1) % names.length]);
    paint();
  });
  system.addEventListener("change", paint);
  window.addEventListener("storage", (event) => event.key === KEPT && paint()); // chosen in another tab
  paint();
}

// --- the way in and out --------------------------------------------------------------------------------------------

// `name`: of the page; `about`: what it is for; `enter`: what to do once there is a session.
export function loginView({ name, about, enter }) {
  document.getElementById("bar").hidden = true;
  document.title = `Log in · ${name}`;
  const wrong = h("p", { class: "mistake", role: "alert" });
  const token = h("input", { class: "field", type: "password", name: "token", autocomplete: "current-password", required: true });
  const button = h("button", { class: "button main", type: "submit" }, "Log in");
  const form = h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      button.disabled = true;
      text(wrong, "");
      try {
        await post("/ops/login", { token: token.value });
        await enter();
      } catch (error) {
        text(wrong, error.status === 401 ? "That token or key is not known here." : error.message);
        token.select();
      } finally {
        button.disabled = false;
      }
    },
  }, h("input", { type: "text", name: "username", autocomplete: "username", value: "ops", hidden: true }), // for password managers
  h("label", { class: "named" }, "Operator token or tenant key", token), wrong, button);
  show(h("div", { class: "panel login" }, h("img", { src: "/static/ops/mark.svg", alt: "" }), h("h1", {}, name), h("p", { class: "quiet" }, about), form));
  token.focus();
}

// `out`: shows the way in again. Called when somebody logs out here, and when a session turns out to be over.
export function keepWayOut(out, isIn) {
  document.getElementById("leave").addEventListener("click", async () => {
    await post("/ops/logout").catch(() => {});
    out();
  });
  window.addEventListener("frontdesk:logged-out", () => isIn() && out());
}

// The bar, for somebody who is in: what is the operator's alone is not offered to a tenant.
export function showBar(me) {
  const bar = document.getElementById("bar");
  bar.hidden = false;
  for (const tab of bar.querySelectorAll("[data-operator]")) tab.hidden = Boolean(me.tenant_id);
}
