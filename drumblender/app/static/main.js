// The page: what is set goes to the server, and what comes back is drawn and played.

import { Api } from "./api.js";
import { Display } from "./display.js";
import { byId, decibels, duration, element, icon, setPressed } from "./dom.js";
import { Drums } from "./drums.js";
import { Files } from "./files.js";
import { listenToKeys } from "./keys.js";
import { busy, say, showError } from "./messages.js";
import { Model } from "./model.js";
import { colorOf, Parts } from "./parts.js";
import { Playback } from "./playback.js";
import { Player } from "./player.js";
import { emptyRecipe, silentParts } from "./recipe.js";
import { Sliders } from "./sliders.js";
import { NOW, Takes } from "./takes.js";

const STORED = "drumblender-page";
const STILL_HERE_MS = 5 * 60 * 1000;

const api = new Api(busy);
const player = new Player(showPlaying);
const model = new Model(api, player, { onShow: show, onResult: showResult, onDone: hear });
const display = new Display();
const drums = new Drums({
  choose: (slot) => files.choose(slot),
  remove: (slot) => files.removeDrum(slot),
  hear: hearDrum,
  move: (values, isDone) => model.change(values, { isDone }),
});
const files = new Files(model, api, drums);
const takes = new Takes({ play: (id) => playback.take(id), restore, drop: dropTake });
const playback = new Playback(model, player, takes);
const sliders = new Sliders({
  get: () => model.recipe.changes,
  set: (changes, isDone) => model.change({ changes }, { isDone }),
  say: showError,
  reroll: () => model.change({ seed: 1 + Math.floor(Math.random() * 2 ** 30) }),
});
let parts = null; // which there are is known when the server has answered
let view = "whole";

// ---- What is heard -----------------------------------------------------------------------------

function hear() {
  if (!byId("play-changes").checked) return;
  if (player.isLooping && player.isPlaying(NOW)) return; // it went on with the new sound
  playback.compares = false;
  playback.now();
}

async function hearDrum(slot) {
  if (player.isPlaying(`drum-${slot}`)) return player.stop();
  try {
    const data = await api.bytes(`api/drums/${slot}/recording.wav`);
    playback.drum(slot, await player.decode(data));
  } catch (error) {
    showError(error.message);
  }
}

function toggle(kind, part) {
  if (!part) return;
  const chosen = model.recipe[kind];
  const others = chosen.filter((one) => one !== part);
  const values = { [kind]: others.length < chosen.length ? others : [...chosen, part] };
  model.change(values, { isHeard: false });
  playback.follow();
}

function takePart(part, slot) {
  const { [part]: _, ...others } = model.recipe.parts;
  model.change({ parts: slot === null ? others : { ...others, [part]: slot } });
}

// ---- Takes -------------------------------------------------------------------------------------

async function keepTake() {
  await model.ready;
  const { result, recipe, summary } = model;
  if (!result) return;
  const muted = silentParts(recipe, model.parts);
  try {
    const { loudness, peak } = await api.json("POST", `api/takes/${result.name}`, { muted });
    const take = { name: result.name, muted, recipe, summary, loudness, peak };
    say(`${takes.add(take, heardOf(result.buffers, muted))} is kept.`);
    store();
  } catch (error) {
    showError(error.message);
  }
}

function heardOf(buffers, muted) {
  const heard = Object.keys(buffers).filter((part) => !muted.includes(part));
  return { whole: player.mix(heard.map((part) => buffers[part])) };
}

async function dropTake(id) {
  const { name } = takes.find(id);
  if (player.isPlaying(id)) player.stop();
  takes.remove(id);
  store();
  if (takes.takes.some((take) => take.name === name)) return;
  try {
    await api.json("DELETE", `api/takes/${name}`);
  } catch (error) {
    showError(error.message);
  }
}

function restore(id) {
  model.change({ ...takes.find(id).recipe });
}

// ---- What is shown -----------------------------------------------------------------------------

function show() {
  drums.show(model.recipe, model.drums, playingDrum());
  sliders.show();
  parts.show(model.recipe, model.drums);
  byId("empty").hidden = model.slots.length > 0;
  byId("undo").disabled = !model.past.length;
  byId("redo").disabled = !model.future.length;
}

async function showResult(isNew) {
  const { result } = model;
  for (const id of ["play-all", "keep", "save-sound", "save-stems", "save-parts"])
    byId(id).disabled = !result;
  takes.now = result && { ...result, summary: model.summary };
  takes.show();
  showFacts(result);
  store();
  if (!isNew) return;
  if (!result) player.stop();
  playback.goOn();
  parts.setBuffers(result?.buffers ?? {});
  if (!model.isStale) await draw();
}

function showFacts(result) {
  const facts = byId("facts");
  facts.replaceChildren();
  if (!result) return;
  const channels = ["", "mono", "stereo"][result.channels] ?? `${result.channels} channels`;
  const peak = element("span", {}, `peak ${decibels(result.peak)}`);
  if (result.peak > 0.05) {
    peak.className = "over";
    peak.title =
      "Above full scale, so that it is played and saved softer; files of 32 bits keep it.";
  }
  facts.append(`${duration(result.seconds)} · ${channels} · `, peak);
}

async function draw() {
  if (!model.result) return display.set(null, null, "--accent");
  const { result } = model;
  const shown = view;
  const picture = await model.picture(shown);
  if (model.result?.name !== result.name || view !== shown) return;
  const index = model.parts.indexOf(shown);
  const buffer = index < 0 ? player.mix(Object.values(result.buffers)) : result.buffers[shown];
  display.set(buffer, picture, index < 0 ? "--accent" : colorOf(index));
  Object.assign(byId("spectrogram").dataset, { view: shown, sound: result.name });
}

function playingDrum() {
  const slot = /^drum-(\d)$/.exec(player.playing?.id ?? "")?.[1];
  return slot === undefined ? null : Number(slot);
}

function showPlaying() {
  const isPlaying = player.playing !== null;
  const button = byId("play-all");
  button.querySelector("span").textContent = isPlaying ? "Stop" : "Play";
  button.querySelector("svg").replaceWith(icon(isPlaying ? "stop" : "play"));
  document.body.dataset.playing = player.playing?.id ?? "";
  drums.show(model.recipe, model.drums, playingDrum());
  takes.show(player.playing?.id ?? null);
  movePlayhead();
}

function movePlayhead() {
  const head = byId("playhead");
  const id = player.playing?.id ?? "";
  head.hidden = id !== NOW && !id.startsWith("part-");
  if (head.hidden) return;
  head.style.left = `${display.x(player.position())}px`;
  requestAnimationFrame(movePlayhead);
}

function showViews() {
  const make = (name) => {
    const input = element("input", { type: "radio", name: "view", value: name });
    input.checked = name === view;
    input.addEventListener("change", () => {
      view = name;
      draw().catch((error) => showError(error.message));
    });
    return element("label", {}, input, element("span", {}, name === "whole" ? "all" : name));
  };
  byId("views").append(...["whole", ...model.parts].map(make));
}

// ---- Beginning ---------------------------------------------------------------------------------

// Keep what this tab needs to go on when it is loaded anew.
function store() {
  const kept = takes.takes.map(({ buffers, ...take }) => take);
  const content = { recipe: model.recipe, takes: kept, count: takes.count };
  sessionStorage.setItem(STORED, JSON.stringify(content));
}

async function recall() {
  const stored = JSON.parse(sessionStorage.getItem(STORED) ?? "null");
  if (!stored) return;
  model.recipe = { ...emptyRecipe(), ...stored.recipe };
  for (const take of stored.takes) {
    try {
      takes.add(take, heardOf(await model.load(take.name), take.muted), take.title);
    } catch (error) {
      if (!error.isGone) throw error; // else the server has forgotten it
    }
  }
  takes.count = stored.count;
}

function listen() {
  const click = (id, action) => byId(id).addEventListener("click", action);
  listenToKeys({
    play: () => playback.toggle(),
    undo: () => model.undo(),
    redo: () => model.redo(),
    keep: keepTake,
    swap: () => playback.swap(),
    toggle: (kind, index) => toggle(kind, model.parts[index]),
  });
  click("empty", () => files.choose(null));
  click("play-all", () => playback.toggle());
  click("keep", keepTake);
  click("swap", () => playback.swap());
  click("undo", () => model.undo());
  click("redo", () => model.redo());
  click("show-keys", () => byId("keys-dialog").showModal());
  click("reset-all", () => model.change({ changes: {}, muted: [], solo: [], parts: {} }));
  click("loop", () => {
    player.setLoop(!player.isLooping);
    setPressed(byId("loop"), player.isLooping);
  });
  click("open-preset", () => byId("choose-preset").click());
  click("save-preset", () => files.savePreset());
  click("save-sound", () => files.saveSound(false));
  click("save-stems", () => files.saveSound(true));
  click("save-parts", () => files.saveParts());
  byId("error").querySelector("button").addEventListener("click", () => showError(""));
  byId("equal").addEventListener("change", () => takes.show());
  byId("show-modes").addEventListener("change", ({ target }) => display.showModes(target.checked));
  listenToDrops();
  addEventListener("pagehide", () => api.leave());
}

function listenToDrops() {
  const setDragging = (isDragging) => document.body.classList.toggle("dragging", isDragging);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    setDragging(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? setDragging(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    setDragging(false);
    const slot = event.target.closest?.(".card")?.dataset.slot;
    const dropped = [...(event.dataTransfer?.files ?? [])];
    if (dropped.length) files.drop(dropped, slot === undefined ? null : Number(slot));
  });
}

async function begin() {
  const { about, drums: found, isNew } = await api.begin();
  model.about = about;
  model.drums = found;
  byId("model").textContent = about.is_measured ? "measured parts" : `model ${about.model}`;
  const actions = { toggle, take: takePart, hear: (part) => playback.part(part) };
  parts = new Parts(about.parts, sliders, about.controls, actions);
  const others = about.controls.filter((control) => !about.parts.includes(control.is_gain_of));
  byId("sliders").append(...others.map((control) => sliders.make(control)));
  showViews();
  if (isNew) Object.assign(model.recipe, files.placeOf(0, model.slots.length));
  else await recall();
  model.forgetHistory();
  listen();
  show();
  await model.make();
  setInterval(() => api.json("GET", "api/session").catch(() => {}), STILL_HERE_MS);
}

begin()
  .catch((error) => showError(error.message))
  .finally(() => (document.body.dataset.ready = ""));
