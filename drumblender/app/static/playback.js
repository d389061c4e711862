// Which of the sounds on the page plays, and how loud.

import { peakOf } from "./player.js";
import { silentParts } from "./recipe.js";
import { NOW } from "./takes.js";

// Where a sound goes on that has hardly begun.
const BEGINNING = 1e-6;

export class Playback {
  constructor(model, player, takes) {
    Object.assign(this, { model, player, takes });
    // Whether takes are compared, so that all are equally loud, and which one was heard last.
    this.compares = false;
    this.heard = null;
  }

  // Linear gains of the parts as they are set, softer where their sum exceeds full scale.
  gains() {
    const { buffers } = this.model.result;
    const names = Object.keys(buffers);
    const silent = silentParts(this.model.recipe, names);
    const heard = names.filter((name) => !silent.includes(name));
    const peak = peakOf(this.player.mix(heard.map((name) => buffers[name])));
    const gain = Math.min(this.compares ? this.equalGain(NOW) : 1, 1 / Math.max(peak, 1e-9));
    return Object.fromEntries(names.map((name) => [name, silent.includes(name) ? 0 : gain]));
  }

  equalGain(id) {
    return 10 ** ((this.takes.gains()[id] ?? 0) / 20);
  }

  // Play the sound as it is now.
  now(offset = 0) {
    const { result } = this.model;
    if (result) this.player.play(NOW, result.buffers, this.gains(), offset);
  }

  toggle() {
    if (this.player.playing) return this.player.stop();
    this.compares = false;
    this.now();
  }

  // Go on with another sound where the one before it was, if it plays again and again.
  goOn() {
    if (this.player.isLooping && this.player.isPlaying(NOW)) this.now(this.player.position());
  }

  part(name) {
    const id = `part-${name}`;
    if (this.player.isPlaying(id)) return this.player.stop();
    const buffer = this.model.result?.buffers[name];
    if (buffer) this.player.play(id, { [name]: buffer }, { [name]: this.safeGain(buffer) });
  }

  drum(slot, buffer) {
    this.player.play(`drum-${slot}`, { whole: buffer }, { whole: this.safeGain(buffer) });
  }

  // Play a take as loud as the others, or stop it.
  take(id, offset = 0) {
    if (!offset && this.player.isPlaying(id)) return this.player.stop();
    this.compares = true;
    this.heard = id;
    if (id === NOW) return this.now(offset);
    const { whole } = this.takes.find(id).buffers;
    const gain = Math.min(this.equalGain(id), this.safeGain(whole));
    this.player.play(id, { whole }, { whole: gain }, offset);
  }

  // Play the other one of A and B, from the same moment on if one of them plays.
  swap() {
    const other = this.takes.other(this.heard);
    if (!this.takes.find(other)) return;
    const isPlaying = this.player.playing && this.takes.find(this.player.playing.id);
    this.take(other, isPlaying ? this.player.position() + BEGINNING : BEGINNING);
  }

  follow() {
    if (this.player.isPlaying(NOW)) this.player.setGains(this.gains());
  }

  safeGain(buffer) {
    return 1 / Math.max(1, peakOf(buffer));
  }
}
