// The list of takes, to be compared with each other and with the sound as it is now.

import { byId, decibels, element, iconButton, icon, setPressed } from "./dom.js";
import { equalGains } from "./player.js";

export const NOW = "now";

export class Takes {
  // actions: play(id), restore(id), drop(id)
  constructor(actions) {
    this.actions = actions;
    this.takes = [];
    this.now = null;
    this.sides = { A: NOW, B: null };
    this.count = 0;
  }

  // Add a take, which gets a number; returns its title.
  add(take, buffers, title = `Take ${this.count + 1}`) {
    this.count += 1;
    // Of one sound there may be several takes, with other parts muted.
    const id = `take-${this.count}`;
    this.takes.push({ ...take, id, title, buffers });
    this.sides.B ??= id;
    this.show();
    return title;
  }

  remove(id) {
    this.takes = this.takes.filter((take) => take.id !== id);
    if (this.sides.A === id) this.sides.A = NOW;
    if (this.sides.B === id) this.sides.B = this.takes[0]?.id ?? null;
    this.show();
  }

  find(id) {
    return this.all().find((take) => take.id === id);
  }

  all() {
    return this.now ? [{ ...this.now, id: NOW, title: "Now" }, ...this.takes] : this.takes;
  }

  // Gains in dB by id: those of equal loudness, or none.
  gains() {
    const all = this.all();
    return byId("equal").checked && all.length > 1
      ? equalGains(all)
      : Object.fromEntries(all.map((take) => [take.id, 0]));
  }

  // The other one of A and B than what plays or played last.
  other(id) {
    const { A, B } = this.sides;
    return id === A ? B : A;
  }

  show(playing = this.playing) {
    this.playing = playing;
    const gains = this.gains();
    const rows = this.all().map((take) => this.row(take, gains[take.id]));
    byId("takes").replaceChildren(...rows);
    byId("no-takes").hidden = this.takes.length > 0;
    byId("takes").hidden = this.takes.length === 0;
    byId("swap").disabled = this.sides.B === null || !this.now;
  }

  row(take, gain) {
    const isNow = take.id === NOW;
    const isPlaying = this.playing === take.id;
    const play = iconButton(isPlaying ? "stop" : "play", `Play ${take.title}`, () =>
      this.actions.play(take.id),
    );
    const sides = ["A", "B"].map((side) => {
      const button = element(
        "button",
        {
          type: "button",
          class: "toggle side",
          "aria-label": `${take.title} is ${side}`,
          onclick: () => {
            this.sides[side] = take.id;
            this.show();
          },
        },
        side,
      );
      setPressed(button, this.sides[side] === take.id);
      return button;
    });
    const more = isNow
      ? []
      : [
          iconButton("undo", `Go back to ${take.title}`, () => this.actions.restore(take.id)),
          iconButton("close", `Remove ${take.title}`, () => this.actions.drop(take.id)),
        ];
    const level =
      take.loudness === null ? "silent" : `${take.loudness.toFixed(1).replace("-", "−")} LUFS`;
    const facts = gain ? `${level}, played at ${decibels(gain)}` : level;
    return element(
      "li",
      { class: isPlaying ? "take playing" : "take", "data-take": take.id, "data-gain": gain },
      element("div", { class: "head" }, play, element("strong", {}, take.title), ...sides, ...more),
      element("span", { title: take.summary }, take.summary),
      element("small", {}, facts),
    );
  }
}
