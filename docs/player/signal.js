// What signals are made with: numbers, spectra, and noise that has given levels in bands.

const LOUDER = 10; // by which recorded noise is amplified at most
const LEVELS_S = 0.00533; // distance of levels of noise, in seconds
const SMOOTH = 4; // levels on either side over which power is averaged

// Halves are rounded to even numbers.
export function round(x) {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 ? up - 1 : up;
}

export const inSamples = (seconds, rate) => Math.max(1, round(seconds * rate));
export const total = ({ seconds, rate }) => Math.max(1, Math.ceil(seconds * rate - 1e-6));
export const peakOf = (rows) =>
  rows.reduce((most, x) => x.reduce((m, v) => Math.max(m, Math.abs(v)), most), 0);
export const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

export function fit(x, length) {
  const y = new x.constructor(length);
  y.set(x.subarray(0, length));
  return y;
}

export function sum(rows) {
  const y = new Float64Array(rows[0].length);
  for (const x of rows) for (let n = 0; n < y.length; n++) y[n] += x[n];
  return y;
}

// The value at a fractional position; the ends hold beyond them.
export function at(values, position) {
  const place = clamp(position, 0, values.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, values.length - 1);
  return values[below] + (values[above] - values[below]) * (place - below);
}

// Numbers that are drawn by chance, of variance 1; the same seed gives the same numbers.
export function* normal(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  for (;;) {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    yield radius * Math.cos(angle);
    yield radius * Math.sin(angle);
  }
}

// ---- Spectra

// The discrete Fourier transform of complex numbers, in place. Their count is a power of two.
export function transform(re, im) {
  const count = re.length;
  for (let i = 1, j = 0; i < count; i++) {
    let bit = count >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  const { cosine, sine } = circle(count);
  for (let half = 1; half < count; half *= 2) {
    for (let begin = 0; begin < count; begin += 2 * half) {
      for (let k = 0; k < half; k++) {
        const i = begin + k;
        const j = i + half;
        const c = cosine[half + k];
        const s = -sine[half + k];
        const a = re[j] * c - im[j] * s;
        const b = re[j] * s + im[j] * c;
        re[j] = re[i] - a;
        im[j] = im[i] - b;
        re[i] += a;
        im[i] += b;
      }
    }
  }
}

const circles = new Map();

// Cosines and sines of half a turn in h steps, at places h to 2h, for each power of two h.
function circle(count) {
  if (!circles.has(count)) {
    const [cosine, sine] = [new Float64Array(count), new Float64Array(count)];
    for (let half = 1; half < count; half *= 2)
      for (let k = 0; k < half; k++) {
        cosine[half + k] = Math.cos((Math.PI * k) / half);
        sine[half + k] = Math.sin((Math.PI * k) / half);
      }
    circles.set(count, { cosine, sine });
  }
  return circles.get(count);
}

// The inverse of a spectrum of a real signal, of which bins from 0 to the middle are given.
function inverse(re, im) {
  const size = re.length;
  for (let k = 1; k < size / 2; k++) [re[size - k], im[size - k]] = [re[k], -im[k]];
  transform(im, re);
  return re.map((x) => x / size);
}

// Tilt a spectrum about 1 kHz by so many dB per octave, with minimum phase.
export function tilted(x, rate, slope) {
  if (!slope) return x;
  const size = 2 ** (Math.floor(Math.log2(2 * x.length + 8192)) + 1);
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  for (let k = 0; k <= size / 2; k++) {
    const hertz = clamp((k * rate) / size, 20, Math.min(20000, rate / 2));
    re[k] = (Math.log2(hertz / 1000) * slope * Math.LN10) / 20;
  }
  // What the logarithm has at negative times is folded to positive ones.
  const cepstrum = inverse(re, im);
  for (let n = 1; n < size / 2; n++) [cepstrum[n], cepstrum[size - n]] = [2 * cepstrum[n], 0];
  im.fill(0);
  transform(cepstrum, im);
  const [signal, signalIm] = [new Float64Array(size), new Float64Array(size)];
  signal.set(x);
  transform(signal, signalIm);
  for (let k = 0; k <= size / 2; k++) {
    const [gain, turn] = [Math.exp(cepstrum[k]), im[k]];
    const [c, s] = [gain * Math.cos(turn), gain * Math.sin(turn)];
    const [a, b] = [signal[k], signalIm[k]];
    [signal[k], signalIm[k]] = [a * c - b * s, a * s + b * c];
  }
  return inverse(signal, signalIm).subarray(0, x.length);
}

// ---- Noise in bands

export const hopOf = (rate) => 2 ** Math.max(3, Math.ceil(Math.log2(LEVELS_S * rate)));

const window = (size) =>
  Float64Array.from({ length: size }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / size));

// The lower one of the two bands that each bin belongs to, and its share of the upper one.
function bandsOf(hop, rate, count) {
  const scale = (hertz) => 21.4 * Math.log10(1 + 0.00437 * hertz);
  const [low, high] = [scale(20), scale(rate / 2)];
  return Array.from({ length: 2 * hop + 1 }, (_, k) => {
    const place = ((scale((k * rate) / (4 * hop)) - low) / (high - low)) * count - 0.5;
    const held = clamp(place, 0, count - 1);
    const below = Math.min(Math.floor(held), count - 2);
    return [below, held - below];
  });
}

// Give the short spectra of a signal, frame by frame, with the first sample of each frame.
function* spectra(x, rate) {
  const size = 4 * hopOf(rate);
  const weight = window(size);
  for (let frame = 0; frame * hopOf(rate) <= x.length; frame++) {
    const begin = frame * hopOf(rate) - size / 2;
    const [re, im] = [new Float64Array(size), new Float64Array(size)];
    const end = Math.min(size, x.length - begin);
    for (let n = Math.max(0, -begin); n < end; n++) re[n] = weight[n] * x[begin + n];
    transform(re, im);
    yield { re, im, frame, begin };
  }
}

// Change the spectra of a signal: change(re, im, frame) in place.
function throughSpectra(x, rate, change) {
  const weight = window(4 * hopOf(rate));
  const [y, squares] = [new Float64Array(x.length), new Float64Array(x.length)];
  for (const { re, im, frame, begin } of spectra(x, rate)) {
    change(re, im, frame);
    const value = inverse(re, im);
    const end = Math.min(value.length, x.length - begin);
    for (let n = Math.max(0, -begin); n < end; n++) {
      y[begin + n] += weight[n] * value[n];
      squares[begin + n] += weight[n] ** 2;
    }
  }
  return y.map((value, n) => value / squares[n]);
}

// Multiply the spectra of a signal by gains of its bands, one row for each.
function shaped(x, rate, gains) {
  const bands = bandsOf(hopOf(rate), rate, gains.length);
  return throughSpectra(x, rate, (re, im, frame) =>
    bands.forEach(([below, share], k) => {
      const gain = gains[below][frame] * (1 - share) + gains[below + 1][frame] * share;
      re[k] *= gain;
      im[k] *= gain;
    }),
  );
}

// The levels of noise in bands: root mean squares, averaged over neighbors if smooth is not 0.
export function levelsOf(x, rate, count = 32, smooth = SMOOTH) {
  const hop = hopOf(rate);
  const frames = Math.floor(x.length / hop) + 1;
  const bands = bandsOf(hop, rate, count);
  const powers = Array.from({ length: count }, () => new Float64Array(frames));
  for (const { re, im, frame } of spectra(x, rate))
    bands.forEach(([below, share], k) => {
      const power = (re[k] ** 2 + im[k] ** 2) * (k && k < 2 * hop ? 2 : 1);
      powers[below][frame] += power * (1 - share);
      powers[below + 1][frame] += power * share;
    });
  const around = Array.from({ length: 2 * smooth + 1 }, (_, i) =>
    0.5 - 0.5 * Math.cos((Math.PI * (i + 1)) / (smooth + 1)),
  );
  const scale = 4 * hop * window(4 * hop).reduce((a, w) => a + w * w, 0);
  const weights = around.map((w) => w / around.reduce((a, b) => a + b) / scale);
  return powers.map((row) =>
    row.map((_, frame) =>
      Math.sqrt(weights.reduce((a, w, i) => a + w * (row[frame + i - smooth] ?? 0), 0)),
    ),
  );
}

// Draw noise that has given levels.
export function drawn(levels, length, rate, seed) {
  const hop = hopOf(rate);
  const shares = new Float64Array(levels.length);
  for (const [below, share] of bandsOf(hop, rate, levels.length)) {
    shares[below] += 1 - share;
    shares[below + 1] += share;
  }
  const white = normal(seed);
  const x = Float64Array.from({ length }, () => white.next().value);
  const density = levels.map((row, b) => row.map((level) => (level ** 2 / shares[b]) * 2 * hop));
  const bands = bandsOf(hop, rate, levels.length);
  return throughSpectra(x, rate, (re, im, frame) =>
    bands.forEach(([below, share], k) => {
      const power = density[below][frame] * (1 - share) + density[below + 1][frame] * share;
      re[k] *= Math.sqrt(power);
      im[k] *= Math.sqrt(power);
    }),
  );
}

// Give noise other levels. Where there is too little of it, noise is drawn.
export function withLevels(x, rate, wanted, seed) {
  const own = levelsOf(x, rate, wanted.length);
  const ratio = (b, f) => wanted[b][f] / Math.max(own[b][f], 1e-9);
  const gains = own.map((row, b) => row.map((_, f) => Math.min(ratio(b, f), LOUDER)));
  const missing = own.map((row, b) =>
    row.map((level, f) =>
      ratio(b, f) > LOUDER ? Math.sqrt(Math.max(0, wanted[b][f] ** 2 - (LOUDER * level) ** 2)) : 0,
    ),
  );
  const y = shaped(x, rate, gains);
  if (!missing.some((row) => row.some((level) => level > 0))) return y;
  return sum([y, drawn(missing, x.length, rate, seed)]);
}
