// Reads and plays .drum files, which hold sounds that Drumblender has taken apart into modes, noise
// and transient.
//
//   import { Drum } from "./drum.js";
//   const drum = await Drum.load("tom.drum");
//   const [left] = drum.with({ pitch: 4, decay: 1.5 }).render({ noise: 0.5 });
//   drum.play(new AudioContext(), { transient: 0 });
//
// Plain modules without a library. The form of the files, and what is computed here, are in
// docs/libraries/drum-files.md. A Drum never changes; with() gives another one.

import { stretched, transposed } from "./edits.js";
import { clamp, fit, inSamples, peakOf, sum, tilted, total, withLevels } from "./signal.js";

const FORMAT = 1;
const DAMAGED = "This file is damaged; save it again.";
const MOST_SAMPLES = 2 ** 26; // of all channels

// What is wrong with a file, in a sentence.
export class DrumError extends Error {}

export class Drum {
  // From the bytes of a file, as an ArrayBuffer.
  constructor(buffer) {
    try {
      const { facts, tensors } = parse(buffer);
      this.fill(facts, tensors);
    } catch (error) {
      throw error instanceof DrumError ? error : new DrumError(DAMAGED);
    }
  }

  fill(facts, tensors) {
    const { name, channels, seed, gains, brightness, parts, timeline } = facts;
    Object.assign(this, { name, channels, seed, gains, brightness });
    this.time = { ...timeline, rate: timeline.sample_rate };
    if (!(channels * Math.max(timeline.described, total(this.time)) <= MOST_SAMPLES))
      throw new DrumError("This sound is too long to be played here; cut it.");
    const rows = (tensor) => channelsOf(tensors, tensor, channels);
    this.modes = parts.modal && modesOf(parts.modal, tensors, channels);
    // Networks play the other parts of a sound that a model has made.
    if (facts.voice.kind === "measured") {
      const levels = tensors["noise.levels"];
      this.noise = {
        rate: parts.noise.sample_rate,
        waveform: rows("noise.waveform").map((x) => fit(x, parts.noise.num_samples)),
        levels: levels && rows("noise.levels").map((x) => split(x, levels.shape[1])),
      };
      this.transient = rows("transient.values");
    }
    this.outline = timeline.outline && outlineOf(timeline.outline, tensors);
  }

  static async load(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new DrumError(`${url} cannot be loaded (${answer.status}).`);
    return new Drum(await answer.arrayBuffer());
  }

  get sampleRate() {
    return this.time.rate;
  }

  get length() {
    return inSamples(this.time.seconds, this.time.rate);
  }

  // The parts that can be played here.
  get parts() {
    return ["modal", "noise", "transient"].filter(
      (name) => this[name === "modal" ? "modes" : name],
    );
  }

  // The same sound with its modes moved by so many semitones, and with decay times (T60)
  // multiplied by a factor. Noise and transient keep their pitch, and the transient its length.
  with({ pitch = 0, decay = 1 } = {}) {
    let drum = this;
    if (pitch) drum = transposed(drum, 2 ** (pitch / 12));
    if (decay !== 1) drum = stretched(drum, decay);
    return drum;
  }

  // The same sound with other values of some fields.
  changed(values) {
    return Object.assign(Object.create(Drum.prototype), this, { made: undefined }, values);
  }

  // What each part contributes: by its name, the samples of each channel.
  stems() {
    if (this.made) return this.made;
    const { time } = this;
    const heard = Math.min(time.described, Math.max(1, total(time) - time.lead));
    const channels = [...Array(this.channels).keys()];
    const played = {
      modal: (c) => playModes(this.modes, c, heard),
      noise: (c) => fit(playNoise(this.noise, c, this.seed), heard),
      transient: (c) => fit(this.transient[c], heard),
    };
    const stems = Object.fromEntries(this.parts.map((name) => [name, channels.map(played[name])]));
    if (this.outline) {
      const gains = beginAndEnd(channels.map((c) => sum(this.parts.map((p) => stems[p][c]))), this);
      for (const name of this.parts)
        for (const c of channels) stems[name][c] = stems[name][c].map((x, n) => x * gains[c][n]);
    }
    for (const name of this.parts)
      stems[name] = stems[name].map((x) => {
        const placed = new Float64Array(total(time));
        for (let n = Math.max(0, -time.lead); n < x.length && n + time.lead < placed.length; n++)
          placed[n + time.lead] = x[n] * this.gains[name];
        return fit(Float32Array.from(tilted(placed, time.rate, this.brightness)), this.length);
      });
    this.made = stems;
    return stems;
  }

  // The samples of each channel, with the parts multiplied by levels, which are 1 if not given.
  render(levels = {}) {
    const stems = this.stems();
    return [...Array(this.channels).keys()].map((c) => {
      const scaled = this.parts.map((p) => stems[p][c].map((x) => x * (levels[p] ?? 1)));
      return Float32Array.from(sum(scaled));
    });
  }

  // Play in an AudioContext. The gains of the result, by part, may change while it sounds.
  play(context, levels = {}, when = 0) {
    if (!(this.sampleRate >= 3000 && this.sampleRate <= 768000))
      throw new DrumError(`Browsers do not play ${this.sampleRate} Hz; convert the recording.`);
    const gains = {};
    const sources = Object.entries(this.stems()).map(([name, stem]) => {
      const buffer = context.createBuffer(this.channels, this.length, this.sampleRate);
      stem.forEach((x, c) => buffer.copyToChannel(x, c));
      const source = new AudioBufferSourceNode(context, { buffer });
      gains[name] = new GainNode(context, { gain: levels[name] ?? 1 });
      source.connect(gains[name]).connect(context.destination);
      source.start(when);
      return source;
    });
    return { gains, stop: () => sources.forEach((source) => source.stop()) };
  }
}

// ---- The file

function parse(buffer) {
  const other = new DrumError("This file holds no sound that is taken apart; choose a .drum file.");
  const size = buffer.byteLength;
  const begin = size > 8 ? 8 + Number(new DataView(buffer).getBigUint64(0, true)) : Infinity;
  if (begin > size) throw other;
  let header, facts;
  try {
    const text = (from, to) => new TextDecoder().decode(new Uint8Array(buffer, from, to - from));
    header = JSON.parse(text(8, begin));
    facts = JSON.parse(header.__metadata__.drum);
  } catch {
    throw other;
  }
  if (!(facts.format <= FORMAT))
    throw new DrumError("This file is of a newer form; reload the page.");
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = data_offsets.map((offset) => begin + offset);
    const type = { F32: Float32Array, I32: Int32Array }[dtype];
    const fits = type && to <= size && to - from === 4 * shape.reduce((a, b) => a * b, 1);
    if (!fits) throw new DrumError(DAMAGED);
    tensors[name] = { shape, data: new type(buffer.slice(from, to)) };
  }
  return { facts, tensors };
}

// The numbers of each channel.
function channelsOf(tensors, name, channels) {
  const { shape, data } = tensors[name] ?? { shape: [] };
  if (shape[0] !== channels || !(data instanceof Float32Array)) throw new DrumError(DAMAGED);
  return split(data, channels);
}

function split(data, count) {
  const length = data.length / count;
  return [...Array(count).keys()].map((i) => data.subarray(i * length, (i + 1) * length));
}

function modesOf({ num_samples }, tensors, channels) {
  const count = tensors["modal.frequency"].shape[1];
  const rows = (name) => channelsOf(tensors, name, channels).map((x) => split(x, count));
  return {
    samples: num_samples,
    frames: tensors["modal.frequency"].shape[2],
    frequency: rows("modal.frequency"),
    amplitude: rows("modal.amplitude"),
    phase: tensors["modal.phase"]
      ? rows("modal.phase").map((modes) => modes.map((x) => x[0]))
      : rows("modal.frequency").map((modes) => modes.map(() => 0)),
  };
}

function outlineOf({ num_samples }, tensors) {
  const begin = [...tensors["outline.begin"].data, num_samples];
  const levels = split(tensors["outline.level"].data, tensors["outline.level"].shape[0]);
  const whole = levels.map((level) => {
    const x = new Float64Array(num_samples);
    level.forEach((value, i) => x.fill(value, begin[i], begin[i + 1]));
    return x;
  });
  return { levels: whole, end: [...tensors["outline.end"].data] };
}

// ---- Parts

function playModes({ samples, frames, frequency, amplitude, phase }, channel, length) {
  const y = new Float64Array(length);
  frequency[channel].forEach((hertz, m) => {
    const size = amplitude[channel][m];
    if (!size.some((a) => a !== 0)) return;
    let angle = phase[channel][m];
    for (let n = 0; n < length; n++) {
      const place = clamp(((n + 0.5) * frames) / samples - 0.5, 0, frames - 1);
      const i = Math.floor(place);
      const j = Math.min(i + 1, frames - 1);
      const step = hertz[i] + (hertz[j] - hertz[i]) * (place - i);
      angle += step;
      const a = size[i] + (size[j] - size[i]) * (place - i);
      if (a !== 0 && Math.abs(step) < Math.PI) y[n] += a * Math.sin(angle);
    }
  });
  return y;
}

const playNoise = ({ waveform, levels, rate }, channel, seed) =>
  levels ? withLevels(waveform[channel], rate, levels[channel], seed) : waveform[channel];

// ---- Beginning and end

// The gain by which a sound, channel by channel, begins and ends as the recording did.
function beginAndEnd(sound, { outline, time: { rate } }) {
  const peak = peakOf(outline.levels) || 1e-9;
  // How much louder than the recording a sound may be.
  const allowed = (rows) => 10 ** (1 / 20) * Math.min(1, (10 ** (3 / 20) * peakOf(rows)) / peak);
  const most = allowed(sound);
  const count = sound[0].length;
  const gains = sound.map((y, c) => {
    const recorded = outline.levels[c % outline.levels.length];
    const levels = Float64Array.from({ length: count }, (_, n) => recorded[n] ?? 0);
    const coming = highest(levels, 0, inSamples(0.025, rate));
    const rise = levels.map((o, n) => Math.max(coming[n], 1e-9) / Math.max(o, 1e-9));
    const rising = rise.map((x) => clamp((x - 1.25) / 0.75, 0, 1));
    const before = meanBefore(rising, inSamples(0.003, rate));
    const loud = highest(y.map(Math.abs), inSamples(0.0003, rate), 0);
    return levels.map((o, n) => {
      const weight = Math.min(rising[n], before[n]);
      return weight > 0 ? Math.min(1, (most * o) / Math.max(loud[n], 1e-9)) ** weight : 1;
    });
  });
  const held = sound.map((y, c) => y.map((x, n) => x * gains[c][n]));
  const length = Math.min(inSamples(0.005, rate), count);
  const last = inSamples(0.0005, rate);
  held.forEach((y, c) => {
    const end = outline.end[c % outline.end.length];
    const loud = peakOf([y.subarray(-last)]);
    const ratio = (allowed(held) * Math.max(end, 2 ** -17)) / Math.max(loud, 2 ** -17);
    for (let n = 0; n < length && ratio < 1; n++) {
      const turn = Math.min(1, (n + 1) / Math.max(1, length - last));
      gains[c][count - length + n] *= ratio + (1 - ratio) * (0.5 + 0.5 * Math.cos(Math.PI * turn));
    }
  });
  return gains;
}

// The highest value from so many samples before to so many after each one.
function highest(x, before, after) {
  const queue = new Int32Array(x.length);
  let [head, tail, next] = [0, 0, 0];
  return x.map((_, n) => {
    for (; next <= Math.min(n + after, x.length - 1); next++) {
      while (tail > head && x[queue[tail - 1]] <= x[next]) tail--;
      queue[tail++] = next;
    }
    while (queue[head] < n - before) head++;
    return x[queue[head]];
  });
}

// The mean of each sample and so many before it; the first one counts for all before.
function meanBefore(x, before) {
  let all = x[0] * (before + 1);
  return x.map((value, n) => {
    all += value - x[Math.max(0, n - before - 1)];
    return all / (before + 1);
  });
}
