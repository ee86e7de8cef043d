// G.711 mu-law and linear samples from -1 to 1.

const BIAS = 132;
const CLIP = 32635;

export function encode(sample) {
  let x = Math.round(sample * 32767);
  const sign = x < 0 ? 0x80 : 0;
  x = Math.min(CLIP, Math.abs(x)) + BIAS;
  const exponent = 24 - Math.clz32(x); // of bits 7 to 14
  return ~(sign | (exponent << 4) | ((x >> (exponent + 3)) & 0x0f)) & 0xff;
}

export const DECODED = Float32Array.from({ length: 256 }, (_, byte) => {
  const u = ~byte & 0xff;
  const size = ((((u & 0x0f) << 3) + BIAS) << ((u >> 4) & 7)) - BIAS;
  return (u & 0x80 ? -size : size) / 32768;
});
