// The page around drum.js: faders, sliders and a waveform. Nothing leaves the browser.

import { Drum, DrumError } from "./drum.js";

const PARTS = ["modal", "noise", "transient"];
const byId = (id) => document.getElementById(id);
const value = (id) => Number(byId(id).value);
const LOWEST = -40; // dB, at which a fader mutes

let original, drum, playing, context, waiting;

const gainOf = (part) => (value(part) <= LOWEST ? 0 : 10 ** (value(part) / 20));
const levels = () => Object.fromEntries(PARTS.map((part) => [part, gainOf(part)]));

function showValues() {
  const signed = (x) => `${x > 0 ? "+" : ""}${String(x).replace("-", "−")}`;
  for (const part of PARTS)
    show(part, value(part) <= LOWEST ? "mute" : `${signed(value(part))} dB`);
  show("pitch", `${signed(value("pitch"))} st`);
  show("decay", `× ${(2 ** value("decay")).toFixed(2)}`);
}

function show(id, text) {
  byId(id).nextElementSibling.textContent = text;
}

function draw() {
  const canvas = byId("waveform");
  const paint = canvas.getContext("2d");
  const [samples] = drum.render(levels());
  const { width, height } = canvas;
  paint.clearRect(0, 0, width, height);
  paint.fillStyle = "#7e57c2";
  for (let x = 0; x < width; x++) {
    const [from, to] = [x, x + 1].map((edge) => (edge * samples.length) / width);
    const piece = samples.subarray(from, to);
    const peak = piece.reduce((most, y) => Math.max(most, Math.abs(y)), 0);
    const size = Math.max(1, Math.min(1, peak) * height);
    paint.fillRect(x, (height - size) / 2, 1, size);
  }
}

// Make the sound of the sliders.
function make() {
  cancelAnimationFrame(waiting);
  drum = original.with({ pitch: value("pitch"), decay: 2 ** value("decay") });
  const { length, sampleRate, channels } = drum;
  const missing = Object.keys(drum.gains).filter((part) => !drum.parts.includes(part));
  for (const part of PARTS) byId(part).disabled = !drum.parts.includes(part);
  byId("name").textContent = drum.name;
  const width = channels === 1 ? "mono" : `${channels} channels`;
  const more = missing.length ? `; ${missing.join(" and ")} need the model that made them` : "";
  byId("facts").textContent =
    `${(length / sampleRate).toFixed(2)} s, ${sampleRate} Hz, ${width}${more}`;
  showValues();
  draw();
}

function play() {
  context ??= new AudioContext();
  context.resume();
  playing?.stop();
  playing = drum.play(context, levels());
}

// Show a sound that was read.
function start() {
  make();
  byId("play").disabled = false;
}

function complain(error) {
  byId("problem").hidden = !error;
  byId("problem").textContent = error ? error.message : "";
  if (error && !(error instanceof DrumError)) throw error;
}

async function tryTo(work) {
  try {
    await work();
    complain(null);
  } catch (error) {
    complain(error);
  }
}

byId("play").addEventListener("click", () => tryTo(play));
byId("reset").addEventListener("click", () => {
  for (const input of document.querySelectorAll("input[type=range]")) input.value = 0;
  make();
});
for (const part of PARTS)
  byId(part).addEventListener("input", () => {
    showValues();
    playing?.gains[part]?.gain.setTargetAtTime(gainOf(part), context.currentTime, 0.01);
    draw();
  });
for (const id of ["pitch", "decay"]) {
  byId(id).addEventListener("input", () => {
    showValues();
    // Once for all moves of a slider that come before the next picture.
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(make);
  });
  byId(id).addEventListener("change", () =>
    tryTo(() => {
      make();
      play();
    }),
  );
}
byId("file").addEventListener("change", ({ target }) =>
  tryTo(async () => {
    const [file] = target.files;
    target.value = ""; // so that the same file can be chosen again
    original = new Drum(await file.arrayBuffer());
    start();
  }),
);

tryTo(async () => {
  original = await Drum.load("tom.drum");
  start();
}).then(() => (document.body.dataset.ready = ""));
