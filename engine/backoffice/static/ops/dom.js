// Elements without markup in strings: what callers say reaches the page as text, and as nothing else.

export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name in node && !name.startsWith("aria") && name !== "role" && name !== "list") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  put(node, children);
  return node;
}

export function put(node, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child);
  }
  return node;
}

export function svg(tag, props = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Writing what stands there already would cost a layout.
export function text(node, value) {
  const said = String(value);
  if (node.textContent !== said) node.textContent = said;
}

export function attr(node, name, value) {
  if (value === null || value === undefined || value === "") {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

export const page = document.getElementById("main");

export function show(view) {
  page.replaceChildren(view);
  return view;
}

// --- figures -----------------------------------------------------------------------------------------------------

export function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

export const ms = (value) => (value === null || value === undefined ? "–" : value >= 10000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`);
export const plural = (n, word, many = `${word}s`) => `${n} ${n === 1 ? word : many}`;

export function phone(number) {
  const us = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number || "");
  return us ? `+1 ${us[1]} ${us[2]} ${us[3]}` : number || "number withheld";
}

export function when(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  return at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

// Whose clock that is: "New York", "Berlin". Times without a place mislead whoever looks after several.
export const zone = () => new Intl.DateTimeFormat().resolvedOptions().timeZone.split("/").pop().replaceAll("_", " ");

// --- said aloud to a screen reader: seldom, and never the same twice in a row -------------------------------------

const aloud = document.getElementById("say-aloud");
export function announce(words) {
  text(aloud, words);
}

export function failed(error, again) {
  return h("div", { class: "panel notice", role: "alert" }, h("strong", {}, "This cannot be shown now"), error.message,
    again && h("p", {}, h("button", { class: "button", type: "button", onclick: again }, "Try again")));
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
