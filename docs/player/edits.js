// What a change of pitch and of decay does to a sound, as in Drumblender.

import { at, clamp, drawn, hopOf, levelsOf, round, sum } from "./signal.js";

// How far a mode turns up to a moment, in radians: the integral of lines between frames.
function turnedUntil(moment, frequency, samples) {
  const count = frequency.length;
  const distance = samples / count;
  const position = (moment + 1) / distance - 0.5;
  const last = clamp(Math.floor(position), 0, count - 1);
  let passed = 0.5 * frequency[0];
  for (let i = 0; i < last; i++) passed += 0.5 * (frequency[i] + frequency[i + 1]);
  const here = position - last;
  const there = Math.min(last + 1, count - 1);
  const rise = 0.5 * Math.max(0, here) * (frequency[there] - frequency[last]);
  return distance * (passed + here * (frequency[last] + rise));
}

// Multiply the frequencies of modes. Their phases stay as they are at the onset.
export function transposed(drum, ratio) {
  const { modes, time } = drum;
  if (!modes) return drum;
  const [onset] = time.onsets;
  // In single precision, as everywhere: over many turns, the last digit counts.
  const moved = modes.frequency.map((rows) =>
    rows.map((x) => x.map((w) => Math.fround(w * Math.fround(ratio)))),
  );
  const phase = modes.phase.map((row, c) =>
    row.map((start, m) => {
      const before = turnedUntil(onset, modes.frequency[c][m], modes.samples);
      return start + (onset ? before - turnedUntil(onset, moved[c][m], modes.samples) : 0);
    }),
  );
  return drum.changed({ modes: { ...modes, frequency: moved, phase } });
}

// Stretch all that follows the loudest moment of each stroke by a factor.
export function stretched(drum, factor) {
  const { time, noise, outline } = drum;
  const moment = loudestMoment(drum);
  const { onsets, lead, rate } = time;
  const strokes = onsets.filter((onset) => onset <= moment);
  const after = Math.max(0, moment - (strokes.length ? Math.max(...strokes) : moment));
  const isLoop = onsets.length > 1;
  // A stroke ends 1.5 ms before the next one begins.
  const ends = onsets.slice(1).map((onset) => onset - 0.0015 * rate);
  const source = (t) => {
    if (!isLoop) return t <= moment ? t : moment + (t - moment) / factor;
    const stroke = ends.filter((end) => end <= t).length;
    const end = ends[stroke] ?? Infinity;
    const begin = Math.min(onsets[stroke] + after, end);
    const moved = t <= begin ? t : begin + (t - begin) / factor;
    return moved < end ? moved : Infinity;
  };
  const last = isLoop ? onsets[onsets.length - 1] + after : moment;
  const begin = (lead + last) / rate;
  const seconds = begin + Math.max(0, time.seconds - begin) * factor;
  const described = Math.ceil(last + (time.described - last) * factor);
  return drum.changed({
    time: { ...time, seconds, described },
    modes: drum.modes && retimedModes(drum.modes, described, source),
    noise: noise && retimedNoise(noise, described, source),
    outline: outline && {
      levels: outline.levels.map((x) =>
        Float64Array.from({ length: described }, (_, n) => {
          const t = source(n);
          return Math.max(t < x.length ? at(x, t) : 0, x[n] ?? 0);
        }),
      ),
      end: outline.end.map((x) => x * Math.max(0, 1 - Math.abs(seconds - time.seconds) / 0.005)),
    },
  });
}

// The described sample at which the modes, or else the noise, are loudest.
function loudestMoment({ modes, noise }) {
  const loudest = (rows, scale) => {
    if (!rows.length || !rows.some((x) => x.some((v) => v !== 0))) return undefined;
    const energy = sum(rows.map((x) => x.map((v) => v * v)));
    return scale(energy.indexOf(energy.reduce((a, b) => Math.max(a, b))));
  };
  const ofModes = (f) => ((f + 0.5) * modes.samples) / modes.frames - 0.5;
  const found = modes && loudest(modes.amplitude.flat(), ofModes);
  if (found !== undefined || !noise) return found ?? 0;
  const wanted = noise.waveform.flatMap((_, c) => wantedLevels(noise, c));
  return loudest(wanted, (l) => Math.min(noise.waveform[0].length - 1, l * hopOf(noise.rate))) ?? 0;
}

function retimedModes(modes, samples, source) {
  const frames = Math.max(1, round((modes.frames * samples) / modes.samples));
  const centers = Array.from({ length: frames }, (_, f) => ((f + 0.5) * samples) / frames - 0.5);
  const place = (t) => ((t + 0.5) * modes.frames) / modes.samples - 0.5;
  const each = (rows, make) => rows.map((row, c) => row.map((x, m) => make(x, c, m)));
  return {
    ...modes,
    samples,
    frames,
    amplitude: each(modes.amplitude, (x) =>
      Float32Array.from(centers, (t) => (source(t) < modes.samples ? at(x, place(source(t))) : 0)),
    ),
    frequency: each(modes.frequency, (x, c, m) => {
      const held = heldFrequency(x, modes.amplitude[c][m]);
      return Float32Array.from(centers, (t) => at(held, place(t)));
    }),
  };
}

// The frequency of a mode that keeps, when it is silent, the one that it had before its end.
function heldFrequency(frequency, amplitude) {
  const first = amplitude.findIndex((a) => a !== 0);
  if (first < 0) return frequency;
  let last = amplitude.length - 1;
  while (amplitude[last] === 0) last--;
  last = Math.max(last - 4, Math.min(first, last));
  let energy = 0;
  let mean = 0;
  for (let f = Math.max(0, last - 23); f <= last; f++) {
    energy += amplitude[f] ** 2;
    mean += amplitude[f] ** 2 * frequency[f];
  }
  return energy > 1e-30 ? frequency.map((w, f) => (f > last ? mean / energy : w)) : frequency;
}

// The levels that noise shall have, or those that it has.
const wantedLevels = (noise, c) => noise.levels?.[c] ?? levelsOf(noise.waveform[c], noise.rate);

function retimedNoise(noise, samples, source) {
  const hop = hopOf(noise.rate);
  const count = noise.waveform[0].length;
  const levels = noise.waveform.map((_, c) =>
    wantedLevels(noise, c).map((row) =>
      Float64Array.from({ length: Math.floor(samples / hop) + 1 }, (_, l) => {
        const t = source(l * hop);
        return t < count ? at(row, t / hop) : 0;
      }),
    ),
  );
  return { ...noise, levels, waveform: continued(noise, samples) };
}

// Cut noise, or put noise of the level that it has in the end behind it.
function continued({ waveform, rate }, samples) {
  if (samples <= waveform[0].length) return waveform.map((x) => x.subarray(0, samples));
  const hop = hopOf(rate);
  const end = Math.max(...waveform.map((x) => x.findLastIndex((v) => v !== 0))) + 1;
  return waveform.map((x) => {
    const last = levelsOf(x.subarray(Math.max(0, end - 12 * hop), end), rate, 32, 0);
    const level = last.map((row) => {
      const inside = row.length > 4 ? row.subarray(2, -2) : row; // windows that lie inside
      const power = inside.reduce((a, v) => a + v * v, 0) / inside.length;
      return new Float64Array(Math.floor(samples / hop) + 1).fill(Math.sqrt(power));
    });
    const y = Float32Array.from(drawn(level, samples, rate, 0));
    y.set(x.subarray(0, end));
    return y;
  });
}
