// What the gateway sends, played as the carrier plays it: everything in order, at the line's own pace; a mark is told
// when all before it has been heard; `clear` empties what is left and tells the marks in it.

import { LINE_RATE, at, table } from "./filter.js";
import { DECODED } from "./mulaw.js";

const HALF = 16;
const PASS_HZ = 3700;
const START_MS = 60; // so much must be there before it begins, or ...
const PATIENCE_MS = 100; // ... so long must it have waited
const FADE = 40; // line samples, 5 ms: what is cut off does not click
const LEVEL_EVERY = 400; // line samples

class Ear extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = LINE_RATE / sampleRate;
    this.rows = table(PASS_HZ / LINE_RATE, HALF, 6);
    this.recent = new Float32Array(2 * HALF);
    this.part = 0; // of the way to the next line sample
    this.queue = []; // chunks of mu-law and names of marks, in order
    this.used = 0; // of the first chunk
    this.waiting = 0; // line samples in the queue
    this.playing = false;
    this.waited = 0;
    this.fading = null;
    this.power = this.counted = 0;
    this.port.onmessage = (event) => this.take(event.data);
  }

  take({ chunk, mark, clear }) {
    if (clear) return this.clear();
    this.queue.push(chunk || mark);
    if (chunk) this.waiting += chunk.length;
    else this.tellMarks();
    return undefined;
  }

  clear() {
    const marks = this.queue.filter((one) => typeof one === "string");
    this.queue = this.queue.filter((one) => typeof one !== "string" && one.length);
    if (this.playing) {
      this.fading = [];
      while (this.fading.length < FADE && this.waiting) this.fading.push(this.pull());
      this.fading = this.fading.map((x, i, all) => x * (1 - (i + 1) / all.length)).reverse();
    }
    this.queue = [];
    this.used = this.waiting = 0;
    this.playing = false;
    for (const mark of marks) this.port.postMessage({ mark });
  }

  tellMarks() {
    while (typeof this.queue[0] === "string") this.port.postMessage({ mark: this.queue.shift() });
  }

  pull() {
    const x = DECODED[this.queue[0][this.used++]];
    this.waiting -= 1;
    if (this.used === this.queue[0].length) {
      this.queue.shift();
      this.used = 0;
    }
    return x;
  }

  sample() {
    if (this.fading) {
      const x = this.fading.pop();
      if (x !== undefined) return x;
      this.fading = null;
    }
    if (!this.playing) {
      this.waited = this.waiting ? this.waited + 1 : 0;
      this.playing = this.waiting >= START_MS * 8 || this.waited >= PATIENCE_MS * 8;
      if (!this.playing) return 0;
      this.waited = 0;
    }
    while (this.queue.length && !this.queue[0].length) this.queue.shift(); // an empty chunk holds nothing up
    if (!this.waiting) {
      this.playing = false;
      return 0;
    }
    const x = this.pull();
    this.tellMarks();
    return x;
  }

  process(inputs, outputs) {
    const out = outputs[0];
    for (let i = 0; i < out[0].length; i++) {
      for (this.part += this.step; this.part >= 1; this.part -= 1) {
        this.recent.copyWithin(0, 1);
        const x = this.sample();
        this.recent[2 * HALF - 1] = x;
        this.power += x * x;
        if (++this.counted === LEVEL_EVERY) {
          this.port.postMessage({ dbfs: 10 * Math.log10(this.power / LEVEL_EVERY + 1e-12) });
          this.power = this.counted = 0;
        }
      }
      const y = at(this.rows, this.recent, 0, this.part);
      for (const channel of out) channel[i] = y;
    }
    return true;
  }
}

registerProcessor("ear", Ear);
