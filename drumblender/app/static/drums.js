// The four corners: cards of drums, the slider between two of them, and the pad between more.

import { byId, duration, element, icon, iconButton } from "./dom.js";
import { LETTERS, weightsOf } from "./recipe.js";

const STEP = 0.02;
const LARGE_STEP = 0.1;

export class Drums {
  // actions: choose(slot), remove(slot), hear(slot), move(values, isDone)
  constructor(actions) {
    this.actions = actions;
    this.cards = [...LETTERS].map((letter, slot) => this.makeCard(letter, slot));
    this.middle = element("div", { class: "middle" });
    byId("corners").append(
      this.cards[0].root,
      this.cards[1].root,
      this.middle,
      this.cards[2].root,
      this.cards[3].root,
    );
    this.makeMorph();
    this.makePad();
  }

  makeCard(letter, slot) {
    const weight = element("span", { class: "weight" });
    const name = element("span", { class: "name" });
    const facts = element("span", { class: "facts" });
    const hear = iconButton("play", `Play drum ${letter} as it was recorded`, () =>
      this.actions.hear(slot),
    );
    const choose = element(
      "button",
      {
        type: "button",
        class: "choose",
        "aria-label": `Choose a file for drum ${letter}`,
        onclick: () => this.actions.choose(slot),
      },
      icon("add"),
      " Add drum",
    );
    const remove = iconButton("close", `Remove drum ${letter}`, () => this.actions.remove(slot));
    const root = element(
      "div",
      { class: `card corner-${letter.toLowerCase()}`, "data-slot": slot },
      element("div", { class: "head" }, element("b", {}, letter), weight, hear, remove),
      name,
      facts,
      choose,
    );
    root.addEventListener("dragover", () => root.classList.add("over"));
    root.addEventListener("dragleave", () => root.classList.remove("over"));
    root.addEventListener("drop", () => root.classList.remove("over"));
    return { root, weight, name, facts, hear, remove, choose };
  }

  setBusy(slot, isBusy) {
    this.cards[slot].root.classList.toggle("busy", isBusy);
    this.cards[slot].root.setAttribute("aria-busy", String(isBusy));
  }

  makeMorph() {
    this.morphInput = element("input", { type: "range", min: 0, max: 1, step: 0.01 });
    const move = (isDone) => this.actions.move({ amount: Number(this.morphInput.value) }, isDone);
    this.morphInput.addEventListener("input", () => move(false));
    this.morphInput.addEventListener("change", () => move(true));
    this.morphEnds = [element("b"), element("b")];
    this.morph = element(
      "label",
      { class: "morph" },
      this.morphEnds[0],
      this.morphInput,
      this.morphEnds[1],
    );
  }

  makePad() {
    this.puck = element("span", { class: "puck" });
    this.pad = element(
      "div",
      {
        class: "pad",
        id: "pad",
        tabindex: 0,
        role: "slider",
        "aria-roledescription": "pad with four corners",
        "aria-label": "Blend of the drums; arrows move it",
        "aria-valuemin": 0,
        "aria-valuemax": 100,
      },
      ...[...LETTERS].map((letter) => element("span", { class: "letter" }, letter)),
      this.puck,
    );
    const move = (event, isDone) => {
      const box = this.pad.getBoundingClientRect();
      const inside = (value) => Math.round(1000 * Math.min(Math.max(value, 0), 1)) / 1000;
      const x = inside((event.clientX - box.left) / box.width);
      const y = inside((event.clientY - box.top) / box.height);
      this.actions.move({ x, y }, isDone);
    };
    this.pad.addEventListener("pointerdown", (event) => {
      this.pad.setPointerCapture(event.pointerId);
      this.isDragged = true;
      move(event, false);
    });
    this.pad.addEventListener("pointermove", (event) => this.isDragged && move(event, false));
    const end = (event) => {
      if (this.isDragged) move(event, true);
      this.isDragged = false;
    };
    this.pad.addEventListener("pointerup", end);
    this.pad.addEventListener("pointercancel", () => (this.isDragged = false));
    this.pad.addEventListener("keydown", (event) => this.moveByKey(event));
  }

  moveByKey(event) {
    const step = event.shiftKey ? LARGE_STEP : STEP;
    const moves = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    const inside = (value) => Math.round(1000 * Math.min(Math.max(value, 0), 1)) / 1000;
    if (event.key === "Home") this.actions.move({ x: 0.5, y: 0.5 }, true);
    else if (event.key in moves) {
      const [right, down] = moves[event.key];
      const { x, y } = this.recipe;
      this.actions.move({ x: inside(x + right), y: inside(y + down) }, true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  show(recipe, drums, playingSlot) {
    this.recipe = recipe;
    const slots = Object.keys(drums).map(Number);
    const weights = weightsOf(recipe, slots);
    this.cards.forEach((card, slot) => {
      const drum = drums[slot];
      card.root.classList.toggle("filled", Boolean(drum));
      for (const part of [card.hear, card.remove, card.name, card.facts, card.weight])
        part.hidden = !drum;
      card.choose.hidden = Boolean(drum);
      if (!drum) return card.root.removeAttribute("title");
      card.name.textContent = drum.name.replace(/\.[^.]{1,5}$/, "");
      const channels = ["", "mono", "stereo"][drum.channels] ?? `${drum.channels} channels`;
      const strokes = drum.strokes > 1 ? ` · ${drum.strokes} strokes` : "";
      card.facts.textContent = `${duration(drum.seconds)} · ${channels}${strokes}`;
      card.root.title = `${drum.name}, ${drum.sample_rate} Hz`;
      card.weight.textContent = slots.length > 1 ? `${Math.round(100 * weights[slot])} %` : "";
      card.root.style.setProperty("--weight", weights[slot]);
      card.hear.replaceChildren(icon(playingSlot === slot ? "stop" : "play"));
    });
    const shown =
      slots.length === 2
        ? this.morph
        : slots.length > 2
          ? this.pad
          : element(
              "p",
              { class: "hint" },
              slots.length
                ? "Drop a second drum to morph between two, and up to four to blend them on a pad."
                : "Drop one to four drums here.",
            );
    if (this.middle.firstElementChild !== shown) this.middle.replaceChildren(shown);
    if (slots.length === 2) {
      const [first, second] = slots;
      this.morphEnds.forEach((end, i) => (end.textContent = LETTERS[slots[i]]));
      this.morphInput.value = recipe.amount;
      const percent = Math.round(100 * recipe.amount);
      const text = `${100 - percent} % ${drums[first].name}, ${percent} % ${drums[second].name}`;
      this.morphInput.setAttribute("aria-label", "Morph");
      this.morphInput.setAttribute("aria-valuetext", text);
      this.morphInput.style.setProperty("--from", "0%");
      this.morphInput.style.setProperty("--to", `${100 * recipe.amount}%`);
    }
    this.puck.style.left = `${100 * recipe.x}%`;
    this.puck.style.top = `${100 * recipe.y}%`;
    this.pad.setAttribute("aria-valuenow", Math.round(100 * recipe.x));
    this.pad.setAttribute(
      "aria-valuetext",
      slots.map((slot) => `${drums[slot].name} ${Math.round(100 * weights[slot])} %`).join(", "),
    );
  }
}
