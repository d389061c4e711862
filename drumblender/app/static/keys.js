// The keys of the page. Those of sliders and of the pad are theirs.

import { byId } from "./dom.js";

const PRESSED_BY_SPACE = "button, summary, input[type=checkbox], input[type=radio]";

// actions: play, undo, redo, keep, swap, toggle(kind, index)
export function listenToKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (byId("keys-dialog").open) return;
    if (event.target.closest("input[type=text], textarea, select")) return;
    if (press(event, actions)) event.preventDefault();
  });
  document.addEventListener("click", letGo);
}

// Do what a key stands for; returns whether it stands for anything.
function press(event, actions) {
  const key = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && !event.altKey) {
    if (key === "z") (event.shiftKey ? actions.redo : actions.undo)();
    else if (key === "y") actions.redo();
    else return false;
    return true;
  }
  if (event.altKey) return false;
  const digit = /^(Digit|Numpad)([1-9])$/.exec(event.code)?.[2];
  if (digit) actions.toggle(event.shiftKey ? "solo" : "muted", digit - 1);
  else if (key === " ") {
    if (event.target.closest(PRESSED_BY_SPACE)) return false;
    actions.play();
  } else if (key === "l") byId("loop").click();
  else if (key === "t") actions.keep();
  else if (key === "x") actions.swap();
  else if (key === "?") byId("keys-dialog").showModal();
  else return false;
  return true;
}

// Take the keyboard from a button that the mouse has pressed, so that the space bar plays.
function letGo(event) {
  if (event.detail === 0) return; // pressed by a key
  setTimeout(() => {
    if (document.activeElement.matches(PRESSED_BY_SPACE)) document.activeElement.blur();
  });
}
