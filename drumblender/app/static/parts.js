// A strip for each part: mute, solo, its waveform, its level, and the drum that it is taken from.

import { drawWave } from "./display.js";
import { byId, element, fit, setPressed, styleValue } from "./dom.js";
import { LETTERS, silentParts } from "./recipe.js";

export class Parts {
  // actions: toggle(kind, part), take(part, slot), hear(part)
  constructor(names, sliders, controls, actions) {
    this.names = names;
    this.strips = {};
    this.buffers = {};
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => this.drawWaves());
    names.forEach((name, index) => {
      const mute = this.makeToggle("M", "Mute", name, index, () => actions.toggle("muted", name));
      const solo = this.makeToggle("S", "Solo", name, index, () => actions.toggle("solo", name));
      const canvas = element("canvas", { "aria-hidden": "true" });
      const wave = element(
        "button",
        {
          type: "button",
          class: "wave",
          title: `Play ${name} alone`,
          "aria-label": `Play ${name} alone`,
          onclick: () => actions.hear(name),
        },
        canvas,
      );
      const from = element("select", {
        "aria-label": `Take ${name} from`,
        "data-from": name,
        onchange: () => actions.take(name, from.value === "" ? null : Number(from.value)),
      });
      const fromLabel = element(
        "label",
        { class: "choice", title: `Take ${name} from a drum` },
        element("span", {}, "from"),
        from,
      );
      const control = controls.find((one) => one.is_gain_of === name);
      const root = element(
        "div",
        { class: "strip", role: "group", "aria-label": name },
        element("span", { class: "name" }, name),
        mute,
        solo,
        wave,
        control ? sliders.make(control, `${name} level`) : element("span"),
        fromLabel,
      );
      root.style.setProperty("--part", `var(${colorOf(index)})`);
      byId("parts").append(root);
      this.strips[name] = { root, mute, solo, canvas, from, fromLabel, color: colorOf(index) };
      new ResizeObserver(() => this.drawWaves()).observe(canvas);
    });
  }

  makeToggle(letter, word, part, index, onclick) {
    const keys = letter === "M" ? index + 1 : `Shift+${index + 1}`;
    const attributes = { type: "button", class: `toggle ${word.toLowerCase()}`, onclick };
    attributes["aria-pressed"] = "false";
    attributes["aria-label"] = `${word} ${part}`;
    attributes.title = index < 9 ? `${word} ${part} (${keys})` : `${word} ${part}`;
    return element("button", attributes, letter);
  }

  show(recipe, drums) {
    const slots = Object.keys(drums).map(Number);
    const silent = silentParts(recipe, this.names);
    for (const name of this.names) {
      const { root, mute, solo, from, fromLabel } = this.strips[name];
      setPressed(mute, recipe.muted.includes(name));
      setPressed(solo, recipe.solo.includes(name));
      root.classList.toggle("silent", silent.includes(name));
      fromLabel.hidden = slots.length < 2;
      const chosen = slots.includes(recipe.parts[name]) ? String(recipe.parts[name]) : "";
      const options = [
        ["", slots.length > 1 ? "the blend" : "the drum"],
        ...slots.map((slot) => [String(slot), `${LETTERS[slot]}: ${drums[slot].name}`]),
      ];
      const key = JSON.stringify(options);
      if (from.dataset.options !== key) {
        from.dataset.options = key;
        from.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
      }
      from.value = chosen;
    }
  }

  setBuffers(buffers) {
    this.buffers = buffers;
    this.drawWaves();
  }

  drawWaves() {
    const all = Object.values(this.buffers);
    let peak = 0;
    let seconds = 0;
    for (const buffer of all) {
      seconds = Math.max(seconds, buffer.duration);
      for (const value of buffer.getChannelData(0)) peak = Math.max(peak, Math.abs(value));
    }
    for (const name of this.names) {
      const { canvas, color } = this.strips[name];
      const { context, width, height } = fit(canvas);
      const buffer = this.buffers[name];
      const box = { left: 0, width, height };
      if (buffer && peak) drawWave(context, buffer, seconds, box, styleValue(color), peak);
    }
  }
}

export function colorOf(index) {
  return `--part-${index % 3}`;
}
