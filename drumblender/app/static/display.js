// The waveform and the spectrogram of a sound, with its modes drawn over it.

import { byId, fit, styleValue } from "./dom.js";

const TICKS = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000];
const MARGIN = { left: 36, bottom: 18 };

// Colors from the softest to the loudest level, evenly spaced, for each theme.
const SHADES = {
  dark: "#0d0b14 #1d1147 #51127c #832681 #b73779 #e75263 #fc8961 #fec488 #fcfdbf".split(" "),
  light: "#ffffff #f1ecf9 #dccdf0 #bfa0e2 #9c6ccf #7a3db5 #571f92 #36105f #16052e".split(" "),
};

function tableOf(colors) {
  const table = new Uint8Array(256 * 3);
  const parsed = colors.map((color) => [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16)));
  for (let level = 0; level < 256; level++) {
    const place = (level / 255) * (parsed.length - 1);
    const below = Math.min(Math.floor(place), parsed.length - 2);
    for (let i = 0; i < 3; i++)
      table[3 * level + i] =
        parsed[below][i] + (parsed[below + 1][i] - parsed[below][i]) * (place - below);
  }
  return table;
}

export class Display {
  constructor() {
    this.waveform = byId("waveform");
    this.spectrogram = byId("spectrogram");
    this.readout = byId("readout");
    this.buffer = null;
    this.picture = null;
    this.color = "--accent";
    this.showsModes = true;
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.addEventListener("change", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(byId("display"));
    this.spectrogram.addEventListener("pointermove", (event) => this.point(event));
    this.spectrogram.addEventListener("pointerleave", () => (this.readout.textContent = ""));
  }

  set(buffer, picture, color) {
    Object.assign(this, { buffer, picture, color });
    this.image = null;
    this.draw();
  }

  showModes(shows) {
    this.showsModes = shows;
    this.draw();
  }

  get seconds() {
    return this.picture?.seconds ?? this.buffer?.duration ?? 0;
  }

  draw() {
    this.drawWaveform();
    this.drawSpectrogram();
  }

  drawWaveform() {
    const { context, width, height } = fit(this.waveform);
    const inner = width - MARGIN.left;
    context.fillStyle = styleValue("--line");
    context.fillRect(MARGIN.left, Math.round(height / 2), inner, 1);
    const box = { left: MARGIN.left, width: inner, height };
    if (this.buffer) drawWave(context, this.buffer, this.seconds, box, styleValue(this.color));
  }

  drawSpectrogram() {
    const { context, width, height } = fit(this.spectrogram);
    const picture = this.picture;
    if (!picture) return;
    const inner = { width: width - MARGIN.left, height: height - MARGIN.bottom };
    this.image = this.imageOf(picture);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.image, MARGIN.left, 0, inner.width, inner.height);
    context.font = "10px system-ui, sans-serif";
    context.fillStyle = styleValue("--soft");
    context.strokeStyle = styleValue("--grid");
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const hertz of TICKS) {
      if (hertz >= picture.highest * 0.95) continue;
      const y = Math.round(this.y(hertz, inner.height)) + 0.5;
      context.fillText(hertz >= 1000 ? `${hertz / 1000}k` : hertz, MARGIN.left - 5, y);
      line(context, MARGIN.left, y, width, y);
    }
    context.textBaseline = "top";
    for (const second of timeTicks(picture.seconds)) {
      const x = MARGIN.left + (second / picture.seconds) * inner.width;
      context.textAlign = second ? "center" : "left";
      if (x < width - 14)
        context.fillText(`${Number(second.toFixed(3))}${second ? "" : " s"}`, x, inner.height + 5);
    }
    if (this.showsModes) this.drawModes(context, inner);
  }

  drawModes(context, inner) {
    context.save();
    context.beginPath();
    context.rect(MARGIN.left, 0, inner.width, inner.height);
    context.clip();
    context.strokeStyle = styleValue("--modes");
    context.lineCap = "round";
    for (const { times, frequencies, levels } of this.picture.modes) {
      for (let i = 1; i < times.length; i++) {
        const strength = Math.max(0, 1 + (levels[i - 1] + levels[i]) / 120);
        context.globalAlpha = 0.15 + 0.85 * strength;
        context.lineWidth = 0.6 + 1.6 * strength;
        line(
          context,
          MARGIN.left + (times[i - 1] / this.seconds) * inner.width,
          this.y(frequencies[i - 1], inner.height),
          MARGIN.left + (times[i] / this.seconds) * inner.width,
          this.y(frequencies[i], inner.height),
        );
      }
    }
    context.restore();
  }

  // The spectrogram as an image of one pixel for each level.
  imageOf(picture) {
    const theme = this.dark.matches ? "dark" : "light";
    if (this.image && this.image.theme === theme) return this.image;
    const { bands, frames } = picture;
    const levels = Uint8Array.from(atob(picture.levels), (letter) => letter.charCodeAt(0));
    const image = new ImageData(frames, bands);
    const table = tableOf(SHADES[theme]);
    for (let band = 0; band < bands; band++)
      for (let frame = 0; frame < frames; frame++) {
        const at = 4 * ((bands - 1 - band) * frames + frame);
        const level = 3 * levels[band * frames + frame];
        image.data.set([table[level], table[level + 1], table[level + 2], 255], at);
      }
    const canvas = new OffscreenCanvas(frames, bands);
    canvas.getContext("2d").putImageData(image, 0, 0);
    canvas.theme = theme;
    return canvas;
  }

  y(hertz, height) {
    const { lowest, highest } = this.picture;
    return height * (1 - Math.log(hertz / lowest) / Math.log(highest / lowest));
  }

  // Where the playhead stands at a moment, in CSS pixels.
  x(seconds) {
    const width = this.waveform.clientWidth - MARGIN.left;
    return MARGIN.left + (this.seconds ? Math.min(seconds / this.seconds, 1) * width : 0);
  }

  point(event) {
    if (!this.picture) return;
    const box = this.spectrogram.getBoundingClientRect();
    const x = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left);
    const y = (event.clientY - box.top) / (box.height - MARGIN.bottom);
    if (x < 0 || y > 1) return void (this.readout.textContent = "");
    const { lowest, highest, seconds } = this.picture;
    const hertz = lowest * (highest / lowest) ** (1 - y);
    const pitch = hertz >= 1000 ? `${(hertz / 1000).toFixed(2)} kHz` : `${Math.round(hertz)} Hz`;
    this.readout.textContent = `${(1000 * x * seconds).toFixed(0)} ms · ${pitch}`;
  }
}

// Draw the highest and the lowest sample of each column of a box.
export function drawWave(context, buffer, seconds, box, color, peak = 1) {
  const { left, width, height } = box;
  const samples = buffer.getChannelData(0);
  const perColumn = (seconds * buffer.sampleRate) / width;
  const middle = height / 2;
  context.fillStyle = color;
  for (let column = 0; column < width; column++) {
    const from = Math.floor(column * perColumn);
    const to = Math.max(from + 1, Math.floor((column + 1) * perColumn));
    let lowest = Infinity;
    let highest = -Infinity;
    for (let i = from; i < to && i < samples.length; i++) {
      lowest = Math.min(lowest, samples[i]);
      highest = Math.max(highest, samples[i]);
    }
    if (highest < lowest) break;
    const top = middle - (Math.min(highest / peak, 1) * (height - 2)) / 2;
    const bottom = middle - (Math.max(lowest / peak, -1) * (height - 2)) / 2;
    context.fillRect(left + column, top, 1, Math.max(1, bottom - top));
  }
}

function line(context, x, y, toX, toY) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  context.stroke();
}

// Round times that part a length into four to nine.
function timeTicks(seconds) {
  const rough = seconds / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.8);
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
}
