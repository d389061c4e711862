// Sentences for the person: errors, notes, and what takes long.

import { byId } from "./dom.js";

const PATIENCE_MS = 250; // before something counts as long

export function showError(sentence, isNote = false) {
  const box = byId("error");
  box.querySelector("span").textContent = sentence;
  box.classList.toggle("note", isNote);
  box.hidden = !sentence;
}

// Tell screen readers what is seen on the page anyway.
export function say(sentence) {
  byId("status").textContent = sentence;
}

const running = new Set();

// Show what takes long, and for how long already; returns what ends it.
export function busy(doing) {
  if (!doing) return () => {};
  const one = { doing, began: performance.now() };
  running.add(one);
  const timer = setInterval(showBusy, 200);
  return () => {
    clearInterval(timer);
    running.delete(one);
    showBusy();
  };
}

function showBusy() {
  const [longest] = running;
  const passed = longest ? performance.now() - longest.began : 0;
  const bar = byId("progress");
  bar.hidden = passed < PATIENCE_MS;
  if (bar.hidden) return;
  const seconds = Math.floor(passed / 1000);
  bar.textContent = seconds ? `${longest.doing} … ${seconds} s` : `${longest.doing} …`;
  bar.setAttribute("aria-valuetext", longest.doing);
}
