// Files that come to the page, and files that leave it.

import { byId } from "./dom.js";
import { say, showError } from "./messages.js";
import { fileName, LETTERS } from "./recipe.js";

export class Files {
  constructor(model, api, drums) {
    Object.assign(this, { model, api, drums });
    this.chosenSlot = null;
    byId("choose-drums").addEventListener("change", ({ target }) => {
      this.drop([...target.files], this.chosenSlot);
      target.value = "";
    });
    byId("choose-preset").addEventListener("change", ({ target }) => {
      if (target.files.length) this.loadPreset(target.files[0]);
      target.value = "";
    });
  }

  // Let the person choose files; the first one goes to a slot, or to the next free one.
  choose(slot) {
    this.chosenSlot = slot;
    byId("choose-drums").click();
  }

  // Take drums and presets that were dropped. The first drum goes to a slot, if one is given.
  async drop(files, slot = null) {
    const isPreset = (file) => /\.(ya?ml|json)$/i.test(file.name);
    const before = this.model.slots.length;
    const problems = [];
    let target = slot;
    for (const file of files.filter((one) => !isPreset(one))) {
      target ??= [0, 1, 2, 3].find((one) => !this.model.slots.includes(one));
      if (target === undefined) {
        problems.push("Four drums are here already; drop one on the card that it shall replace.");
        break;
      }
      problems.push(await this.sendDrum(file, target));
      target = undefined;
    }
    const now = this.model.slots.length;
    if (problems.some((problem) => !problem)) await this.model.change(this.placeOf(before, now));
    for (const file of files.filter(isPreset)) problems.push(await this.loadPreset(file));
    showError(problems.filter(Boolean).join(" "));
  }

  // Where the blend goes when there are more drums, so that what is new is heard.
  placeOf(before, now) {
    if (now === 2 && before < 2) return { amount: 0.5 };
    return now > 2 && before < 3 ? { x: 0.5, y: 0.5 } : {};
  }

  // Put a drum into a slot; returns what went wrong.
  async sendDrum(file, slot) {
    const { largest } = this.model.about;
    if (file.size > largest)
      return `${file.name} is larger than ${Math.round(largest / 2 ** 20)} MB; cut or convert it.`;
    this.drums.setBusy(slot, true);
    try {
      const drum = await this.api.sendDrum(slot, file, `Taking ${file.name} apart`);
      this.model.drums[slot] = drum;
      say(`${file.name} is drum ${LETTERS[slot]}.`);
      return "";
    } catch (error) {
      return error.message;
    } finally {
      this.drums.setBusy(slot, false);
    }
  }

  async removeDrum(slot) {
    try {
      await this.api.json("DELETE", `api/drums/${slot}`);
    } catch (error) {
      return showError(error.message);
    }
    delete this.model.drums[slot];
    const left = Object.entries(this.model.recipe.parts).filter(([, from]) => from !== slot);
    this.model.change({ parts: Object.fromEntries(left) }, { isHeard: false });
  }

  // Take the controls of a preset; returns what went wrong.
  async loadPreset(file) {
    try {
      const { changes, muted } = await this.api.sendPreset(file);
      showError("");
      await this.model.change({ changes, muted, solo: [] });
      say(`${file.name} is loaded.`);
      return "";
    } catch (error) {
      showError(error.message);
      return error.message;
    }
  }

  savePreset() {
    return this.save("api/preset", this.model.forServer, ".yaml");
  }

  // Save the sound as a file of parts, which can be dropped on the page again.
  saveParts() {
    return this.save("api/parts", this.model.forServer, ".drum", "Writing the file");
  }

  // Save the sound, or with it its stems and its preset.
  saveSound(stems) {
    const bits = Number(byId("bits").value);
    const content = { recipe: this.model.forServer, bits, stems };
    return this.save("api/download", content, stems ? ".zip" : ".wav", "Writing the file");
  }

  async save(path, content, ending, doing) {
    const { drums, recipe } = this.model;
    try {
      const note = await this.api.save(path, content, fileName(drums, recipe) + ending, doing);
      showError(note, true);
    } catch (error) {
      showError(error.message);
    }
  }
}
