// The last minute of one call as a strip: who had the floor. One small canvas, drawn only while in sight.

import { colour } from "./dom.js";

const SECONDS = 60;
const NAMES = { n: "nobody", c: "caller", a: "agent", s: "script", h: "human" };
// Not by colour alone: the caller's side is above, the agent's below, the script's and an operator's all of it.
const PLACES = { n: [0.44, 0.12], c: [0, 0.5], a: [0.5, 0.5], s: [0, 1], h: [0, 1] };

let palette = null;
window.addEventListener("frontdesk:theme", () => { palette = null; });

function colours() {
  palette ??= Object.fromEntries(Object.entries(NAMES).map(([letter, name]) => [letter, colour(name === "nobody" ? "edge" : name)]));
  return palette;
}

export function draw(canvas, row, width, now) {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.round(width * ratio);
  const h = Math.round(18 * ratio);
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const context = canvas.getContext("2d");
  const paint = colours();
  context.clearRect(0, 0, w, h);
  const age = now - row.since;
  const x = (at) => Math.round(((at - age + SECONDS) / SECONDS) * w);
  const floors = row.floors;
  for (let i = 0; i < floors.length; i++) {
    const [at, letter] = floors[i];
    const from = Math.max(0, x(at));
    const to = Math.max(0, x(i + 1 < floors.length ? floors[i + 1][0] : age));
    if (to <= from) continue;
    const [top, tall] = PLACES[letter];
    context.fillStyle = paint[letter];
    context.fillRect(from, Math.round(top * h), to - from, Math.max(1, Math.round(tall * h)));
  }
}
