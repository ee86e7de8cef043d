// Windowed-sinc low-pass, as a table of phases: what both ways of the line are resampled with.

export const LINE_RATE = 8000;
const PHASES = 128;

// Modified Bessel function of the first kind, order zero: of the Kaiser window.
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 40; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

// `cutoff`: as a part of the input's rate; `half`: taps on either side. Row p is for a point p / PHASES behind a sample;
// each row sums to one, so that no phase is louder than another.
export function table(cutoff, half, beta = 7.5) {
  const rows = [];
  for (let p = 0; p <= PHASES; p++) {
    const row = new Float32Array(2 * half);
    let sum = 0;
    for (let i = 0; i < row.length; i++) {
      const at = i - half + 1 - p / PHASES;
      const x = 2 * Math.PI * cutoff * at;
      const r = at / half;
      row[i] = Math.abs(r) >= 1 ? 0 : (at === 0 ? 1 : Math.sin(x) / x) * (bessel(beta * Math.sqrt(1 - r * r)) / bessel(beta));
      sum += row[i];
    }
    for (let i = 0; i < row.length; i++) row[i] /= sum;
    rows.push(row);
  }
  return rows;
}

// Between samples `from + half - 1` and the next, `part` of the way.
export function at(rows, samples, from, part) {
  const p = part * PHASES;
  const low = Math.floor(p);
  const [a, b, share] = [rows[low], rows[Math.min(low + 1, PHASES)], p - low];
  let x = 0;
  for (let i = 0; i < a.length; i++) x += samples[from + i] * (a[i] + share * (b[i] - a[i]));
  return x;
}
