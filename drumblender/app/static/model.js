// What is on the page: the drums, the recipe with its history, and the sound that is made of it.

import { showError } from "./messages.js";
import { emptyRecipe, forServer, summary } from "./recipe.js";

export class Model {
  // onShow() is called when a setting has changed, onResult(isNew) when another sound is there, and
  // onDone() when a person has let go and hears what was made.
  constructor(api, player, { onShow, onResult, onDone }) {
    Object.assign(this, { api, player, onShow, onResult, onDone });
    this.about = null;
    this.drums = {};
    this.recipe = emptyRecipe();
    this.result = null;
    this.past = [];
    this.future = [];
    this.last = JSON.stringify(this.recipe);
    this.ready = Promise.resolve();
    this.isMaking = false;
    this.isStale = false;
    this.isDone = false;
  }

  get slots() {
    return Object.keys(this.drums).map(Number);
  }

  get parts() {
    return this.about.parts;
  }

  get forServer() {
    return forServer(this.recipe, this.slots, this.parts);
  }

  get summary() {
    return summary(this.recipe, this.drums, this.parts);
  }

  // Set values of the recipe, and make the sound anew. isDone: whether the person has let go.
  change(values, { isDone = true, isHeard = isDone } = {}) {
    showError("");
    this.recipe = { ...this.recipe, ...values };
    if (isDone) this.remember();
    this.isDone ||= isHeard;
    this.onShow();
    return this.make();
  }

  remember() {
    const now = JSON.stringify(this.recipe);
    if (now === this.last) return;
    this.past.push(this.last);
    this.future = [];
    this.last = now;
  }

  // Begin the history with what the recipe is now.
  forgetHistory() {
    this.past = [];
    this.future = [];
    this.last = JSON.stringify(this.recipe);
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  step(from, to) {
    if (!from.length) return;
    to.push(this.last);
    this.last = from.pop();
    this.recipe = JSON.parse(this.last);
    this.isDone = true;
    this.onShow();
    this.make();
  }

  // Make the sound of the recipe. What is set meanwhile is made next, and nothing in between.
  make() {
    this.isStale = true;
    if (!this.isMaking) this.ready = this.makeAll();
    return this.ready;
  }

  async makeAll() {
    this.isMaking = true;
    document.body.dataset.made = "";
    try {
      while (this.isStale) {
        this.isStale = false;
        await this.makeOne();
      }
      if (this.isDone && this.result) this.onDone();
    } catch (error) {
      showError(error.message);
    } finally {
      this.isDone = false;
      this.isMaking = false;
      document.body.dataset.made = this.result?.name ?? "none";
    }
  }

  async makeOne() {
    if (!this.slots.length) {
      this.result = null;
      return this.onResult(true);
    }
    const made = await this.api.json("POST", "api/sounds", this.forServer, "Making the sound");
    const isNew = made.name !== this.result?.name;
    const kept = isNew ? { buffers: await this.load(made.name), pictures: {} } : this.result;
    this.result = { ...made, buffers: kept.buffers, pictures: kept.pictures };
    await this.onResult(isNew);
  }

  // The parts of a sound, ready to be played.
  async load(name) {
    const load = async (part) => [
      part,
      await this.player.decode(await this.api.bytes(`api/sounds/${name}/${part}.wav`)),
    ];
    return Object.fromEntries(await Promise.all(this.parts.map(load)));
  }

  async picture(view) {
    const { result } = this;
    const path = `api/sounds/${result.name}/picture/${view}`;
    result.pictures[view] ??= await this.api.json("GET", path);
    return result.pictures[view];
  }
}
