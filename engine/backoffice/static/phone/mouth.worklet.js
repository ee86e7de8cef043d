// The microphone, brought down to 8 kHz mu-law in frames of 20 ms. Runs on the browser's audio thread.

import { LINE_RATE, at, table } from "./filter.js";
import { encode } from "./mulaw.js";

const FRAME = 160;
const PASS_HZ = 3650; // -6 dB; what is above 4 kHz would fold back into speech
const HALF_MS = 3.6;

class Mouth extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / LINE_RATE;
    this.half = Math.ceil((HALF_MS / 1000) * sampleRate);
    this.rows = table(PASS_HZ / sampleRate, this.half);
    this.kept = new Float32Array(2 * this.half + 4096);
    this.filled = 2 * this.half; // silence before the first sample
    this.next = 0; // where the next line sample begins, in samples of `kept`
    this.frame = new Uint8Array(FRAME);
    this.count = 0;
    this.power = 0;
    this.muted = false;
    this.port.onmessage = (event) => { this.muted = event.data.muted; };
  }

  process(inputs) {
    const channels = inputs[0];
    const n = channels.length ? channels[0].length : 128;
    if (this.filled + n > this.kept.length) return true; // never: all but a filter's width is used up each time
    for (let i = 0; i < n; i++) {
      let x = 0;
      for (const channel of channels) x += channel[i] / channels.length;
      this.kept[this.filled++] = x;
    }
    for (; Math.floor(this.next) + 2 * this.half <= this.filled; this.next += this.step) {
      const from = Math.floor(this.next);
      this.put(at(this.rows, this.kept, from, this.next - from));
    }
    const used = Math.floor(this.next);
    this.kept.copyWithin(0, used, this.filled);
    this.filled -= used;
    this.next -= used;
    return true;
  }

  put(sample) {
    const x = this.muted ? 0 : Math.max(-1, Math.min(1, sample));
    this.power += x * x;
    this.frame[this.count++] = encode(x);
    if (this.count < FRAME) return;
    this.port.postMessage({ frame: this.frame.slice(), dbfs: 10 * Math.log10(this.power / FRAME + 1e-12) });
    this.count = this.power = 0;
  }
}

registerProcessor("mouth", Mouth);
