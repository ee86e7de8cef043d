// The phone's page: who is there, and the telephone itself.

import { get } from "../ops/api.js";
import { h, show } from "../ops/dom.js";
import { keepTheme, keepWayOut, loginView, showBar } from "../ops/frame.js";
import { telephone } from "./telephone.js";

let leave = () => {};
let me = null;

function login() {
  leave();
  leave = () => {};
  me = null;
  loginView({ name: "Frontdesk phone", about: "Call a business with your microphone, and read along what happens in the call.", enter });
}

async function enter() {
  let setup;
  try {
    me = await get("/ops/me");
    showBar(me);
    setup = await get("/phone/setup");
  } catch (error) {
    if (error.status === 401) return login();
    show(h("div", { class: "notice" }, h("h1", {}, "The phone cannot be used now"), error.message));
    if (error.status === 0 || error.status >= 500) window.setTimeout(enter, 3000);
    return undefined;
  }
  document.title = "Frontdesk phone";
  leave = telephone(setup);
  return undefined;
}

keepTheme();
keepWayOut(login, () => me);
enter();
