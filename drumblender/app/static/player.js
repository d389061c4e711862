// Plays parts together, so that muting one is heard at once, and takes at equal loudness.

const RAMP_S = 0.005;

export class Player {
  constructor(onChange) {
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.onChange = onChange;
    this.playing = null;
    this.isLooping = false;
    this.turn = 0;
  }

  decode(data) {
    return this.context.decodeAudioData(data);
  }

  // Play buffers by name together, from a moment on. id: names what plays; gains: linear, by name.
  async play(id, buffers, gains, offset = 0) {
    this.stop();
    const turn = ++this.turn;
    if (this.context.state !== "running") {
      // A browser is silent until a person has clicked somewhere; a sound then would be too late.
      await Promise.race([this.context.resume(), new Promise((done) => setTimeout(done, 1000))]);
      if (this.context.state !== "running" || turn !== this.turn) return;
    }
    const output = this.context.createGain();
    output.connect(this.context.destination);
    const started = this.context.currentTime + 0.02;
    const playing = { id, output, started, offset, sources: [], nodes: {}, seconds: 0 };
    for (const [name, buffer] of Object.entries(buffers)) {
      const source = this.context.createBufferSource();
      const node = this.context.createGain();
      source.buffer = buffer;
      source.loop = this.isLooping;
      node.gain.value = gains[name] ?? 1;
      source.connect(node).connect(output);
      source.start(started, Math.min(offset, buffer.duration));
      playing.sources.push(source);
      playing.nodes[name] = node;
      playing.seconds = Math.max(playing.seconds, buffer.duration);
    }
    if (!playing.sources.length) return;
    const longest = playing.sources.reduce((a, b) =>
      a.buffer.duration >= b.buffer.duration ? a : b,
    );
    longest.onended = () => {
      if (this.playing === playing) this.stop();
    };
    this.playing = playing;
    this.onChange();
  }

  stop() {
    const playing = this.playing;
    if (!playing) return;
    this.playing = null;
    const now = this.context.currentTime;
    playing.output.gain.setValueAtTime(1, now);
    playing.output.gain.linearRampToValueAtTime(0, now + RAMP_S);
    for (const source of playing.sources) source.stop(now + 2 * RAMP_S);
    this.onChange();
  }

  // Change the gains of what plays.
  setGains(gains) {
    if (!this.playing) return;
    const now = this.context.currentTime;
    for (const [name, node] of Object.entries(this.playing.nodes))
      node.gain.setTargetAtTime(gains[name] ?? 1, now, RAMP_S);
  }

  setLoop(isLooping) {
    this.isLooping = isLooping;
    for (const source of this.playing?.sources ?? []) source.loop = isLooping;
  }

  isPlaying(id) {
    return this.playing?.id === id;
  }

  // Where in the sound the playing is, in seconds, or null.
  position() {
    if (!this.playing) return null;
    const { started, offset, seconds } = this.playing;
    const passed = Math.max(0, this.context.currentTime - started) + offset;
    return this.isLooping && seconds ? passed % seconds : Math.min(passed, seconds);
  }

  // Add buffers up to one.
  mix(buffers) {
    const length = Math.max(1, ...buffers.map((buffer) => buffer.length));
    const channels = Math.max(1, ...buffers.map((buffer) => buffer.numberOfChannels));
    const mixed = this.context.createBuffer(channels, length, this.context.sampleRate);
    for (const buffer of buffers)
      for (let channel = 0; channel < channels; channel++) {
        const sum = mixed.getChannelData(channel);
        const part = buffer.getChannelData(Math.min(channel, buffer.numberOfChannels - 1));
        for (let i = 0; i < part.length; i++) sum[i] += part[i];
      }
    return mixed;
  }
}

export function peakOf(buffer) {
  let peak = 0;
  for (let channel = 0; channel < buffer.numberOfChannels; channel++)
    for (const value of buffer.getChannelData(channel)) peak = Math.max(peak, Math.abs(value));
  return peak;
}

// Gains in dB that make takes equally loud, none of them beyond full scale, by their id.
export function equalGains(takes) {
  const heard = takes.filter((take) => take.loudness !== null && take.peak !== null);
  const target = Math.min(...heard.map((take) => take.loudness - take.peak));
  const gains = Object.fromEntries(takes.map((take) => [take.id, 0]));
  for (const take of heard)
    gains[take.id] = Math.min(target, ...heard.map((one) => one.loudness)) - take.loudness;
  return gains;
}
