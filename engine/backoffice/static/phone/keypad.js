// The keys of a telephone.

import { h, text } from "../ops/dom.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const NAMES = { "*": "star", "#": "pound" };

export function keypad(press) {
  const shown = h("output", { class: "num" });
  const pressed = (digit) => {
    if (!KEYS.includes(digit)) return;
    press(digit);
    text(shown, `${shown.textContent}${digit}`.slice(-16));
  };
  const keys = KEYS.map((digit) => h("button", { class: "button key", type: "button", "aria-label": `Key ${NAMES[digit] || digit}`, onclick: () => pressed(digit) }, digit));
  return { node: h("div", { class: "keypad", role: "group", "aria-label": "Keypad" }, keys, shown), pressed };
}
