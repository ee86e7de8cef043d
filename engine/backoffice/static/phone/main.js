// The frame of the phone: who is there, which theme, and the telephone itself.

import { get, post } from "../ops/api.js";
import { h, show, text } from "../ops/dom.js";
import { telephone } from "./telephone.js";

const bar = document.getElementById("bar");
const system = window.matchMedia("(prefers-color-scheme: dark)");
const themes = ["system", "light", "dark"];
let leave = () => {};

function theme() {
  const chosen = localStorage.getItem("frontdesk-theme") || "system"; // the one of the ops page
  document.documentElement.dataset.theme = chosen === "system" ? (system.matches ? "dark" : "light") : chosen;
  const button = document.getElementById("theme");
  text(button, { system: "Auto", light: "Light", dark: "Dark" }[chosen]);
  button.setAttribute("aria-label", `Theme: ${chosen}. Change`);
}

document.getElementById("theme").addEventListener("click", () => {
  const chosen = localStorage.getItem("frontdesk-theme") || "system";
  localStorage.setItem("frontdesk-theme", themes[(themes.indexOf(chosen) + 1) % themes.length]);
  theme();
});
system.addEventListener("change", theme);

function login() {
  leave();
  leave = () => {};
  bar.hidden = true;
  document.title = "Log in · Frontdesk phone";
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
  show(h("div", { class: "panel login" }, h("img", { src: "/static/ops/mark.svg", alt: "" }), h("h1", {}, "Frontdesk phone"),
    h("p", { class: "quiet" }, "Call a business with your microphone, and read along what happens in the call."), form));
  token.focus();
}

async function enter() {
  let me;
  let setup;
  try {
    [me, setup] = await Promise.all([get("/ops/me"), get("/phone/setup")]);
  } catch (error) {
    if (error.status === 401) return login();
    show(h("div", { class: "notice" }, h("h1", {}, "The phone cannot be used now"), error.message));
    if (error.status === 0 || error.status >= 500) window.setTimeout(enter, 3000);
    return undefined;
  }
  bar.hidden = false;
  for (const tab of bar.querySelectorAll("[data-operator]")) tab.hidden = Boolean(me.tenant_id);
  document.title = "Frontdesk phone";
  leave = telephone(setup);
  return undefined;
}

document.getElementById("leave").addEventListener("click", async () => {
  await post("/ops/logout").catch(() => {});
  login();
});
window.addEventListener("frontdesk:logged-out", () => !bar.hidden && login());

theme();
enter();
