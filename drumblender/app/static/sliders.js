// Sliders, made from the table of controls that the server sends.

import { element, icon, iconButton } from "./dom.js";
import { signed } from "./recipe.js";

const title = (name) => name.replaceAll("_", " ");

// A number as short as it can be.
const short = (value) => signed(Math.round(value * 1000) / 1000);

export class Sliders {
  // get() returns the changes; set(changes, isDone) takes others; say(sentence) tells of an error.
  constructor({ get, set, say, reroll }) {
    Object.assign(this, { get, set, say, reroll });
    this.shown = [];
  }

  // Make the slider of a control; returns its element.
  make(control, label = title(control.name)) {
    const { slider } = control;
    const toValue = (position) =>
      slider.is_logarithmic ? 2 ** (position / slider.step) : position;
    const toPosition = (value) =>
      slider.is_logarithmic ? Math.log2(value) * slider.step : value;
    const ends = [toPosition(slider.lowest), toPosition(slider.highest)];
    // A control that always changes something is off at its lowest value.
    const resting = control.neutral ?? slider.lowest;
    const range = element("input", {
      type: "range",
      min: slider.is_logarithmic ? Math.ceil(ends[0]) : ends[0],
      max: slider.is_logarithmic ? Math.floor(ends[1]) : ends[1],
      step: slider.is_logarithmic ? 1 : slider.step,
      "aria-label": label,
      "data-control": control.name,
    });
    const number = element("input", {
      type: "text",
      inputmode: "decimal",
      autocomplete: "off",
      class: "number",
      "aria-label": `${label}, ${control.unit}`,
      title: `${control.help}: ${control.range}`,
    });
    const reset = iconButton("reset", `Reset ${label}`, () => change(resting, true));

    const change = (value, isDone) => {
      const { [control.name]: _, ...others } = this.get();
      const rounded = Math.round(value * 1e4) / 1e4;
      this.set(rounded === resting ? others : { ...others, [control.name]: rounded }, isDone);
    };
    const show = () => {
      const value = this.get()[control.name] ?? resting;
      const position = Math.min(Math.max(toPosition(value), range.min), range.max);
      if (document.activeElement !== range || Math.abs(range.value - position) > 1e-6)
        range.value = position;
      const isOff = control.neutral === null && value === resting;
      if (document.activeElement !== number) number.value = isOff ? "off" : short(value);
      range.setAttribute("aria-valuetext", isOff ? "off" : `${value} ${slider.symbol}`);
      const share = (x) => (100 * (x - range.min)) / (range.max - range.min);
      const rest = Math.min(Math.max(toPosition(resting), range.min), range.max);
      range.style.setProperty("--from", `${Math.min(share(rest), share(position))}%`);
      range.style.setProperty("--to", `${Math.max(share(rest), share(position))}%`);
      reset.classList.toggle("idle", value === resting);
    };

    range.addEventListener("input", () => change(toValue(Number(range.value)), false));
    range.addEventListener("change", () => change(toValue(Number(range.value)), true));
    range.addEventListener("dblclick", () => change(resting, true));
    number.addEventListener("focus", () => number.select());
    number.addEventListener("keydown", (event) => {
      if (event.key === "Enter") number.blur();
      if (event.key === "Escape") {
        number.value = "";
        number.blur();
      }
    });
    number.addEventListener("blur", () => {
      const text = number.value.trim().replace("−", "-").replace(",", ".");
      const value = Number(text);
      const lowest = control.lowest ?? -Infinity;
      if (text === "" || text === "off") return show();
      if (!Number.isFinite(value) || value < lowest || value > control.highest)
        this.say(`${label} is ${number.value}; give ${control.range}.`);
      else if (short(value) !== short(this.get()[control.name] ?? resting)) change(value, true);
      show();
    });

    this.shown.push(show);
    const extra = control.switches.map((one) => this.makeSwitch(control, one));
    if (control.is_random)
      extra.push(
        element(
          "button",
          {
            type: "button",
            class: "small",
            "aria-label": `Draw ${label} anew`,
            onclick: this.reroll,
          },
          icon("dice"),
          "Draw anew",
        ),
      );
    return element(
      "div",
      { class: "slider", title: control.help },
      element("span", { class: "name" }, label),
      range,
      element("span", { class: "value" }, number, element("i", {}, slider.symbol)),
      reset,
      ...(extra.length ? [element("div", { class: "extra" }, ...extra)] : []),
    );
  }

  makeSwitch(control, one) {
    const box = element("input", { type: "checkbox", "data-switch": one.name });
    box.addEventListener("change", () => {
      const { [one.name]: _, ...others } = this.get();
      this.set(box.checked ? { ...others, [one.name]: true } : others, true);
    });
    this.shown.push(() => {
      box.checked = Boolean(this.get()[one.name]);
    });
    return element("label", { class: "check" }, box, ` ${one.help}`);
  }

  show() {
    for (const show of this.shown) show();
  }
}
