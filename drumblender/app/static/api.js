// Requests to the server. All that goes wrong becomes an Error whose message is a sentence.

const TOKEN = "X-Drumblender-Session";
const NAME = "X-Drumblender-Name";
const NOTES = "X-Drumblender-Notes";
const STORED = "drumblender-token";

export class Api {
  constructor(onBusy) {
    this.token = null;
    this.onBusy = onBusy;
  }

  // Open a session, or go on with the one that this tab had before it was loaded anew.
  async begin() {
    const about = await this.json("GET", "api/about");
    const before = sessionStorage.getItem(STORED);
    if (before) {
      this.token = before;
      try {
        return { about, drums: (await this.json("GET", "api/session")).drums, isNew: false };
      } catch (error) {
        if (!error.isGone) throw error;
      }
    }
    this.token = (await this.json("POST", "api/session")).token;
    sessionStorage.setItem(STORED, this.token);
    return { about, drums: (await this.json("GET", "api/session")).drums, isNew: true };
  }

  leave() {
    if (this.token) navigator.sendBeacon("api/session/leave", this.token);
  }

  async request(method, path, { body, name, doing } = {}) {
    const headers = {};
    if (this.token) headers[TOKEN] = this.token;
    if (name !== undefined) headers[NAME] = encodeURIComponent(name);
    const done = this.onBusy(doing);
    try {
      let answer;
      try {
        answer = await fetch(path, { method, headers, body });
      } catch {
        throw new Error("Drumblender does not answer; start drumblender-app again.");
      }
      if (answer.ok) return answer;
      const text = await answer.text();
      let sentence = text;
      try {
        sentence = JSON.parse(text).error;
      } catch {
        // Not of the page itself, such as the answer to a wrong password.
      }
      const error = new Error(sentence || `The server answers ${answer.status}.`);
      error.isGone = answer.status === 410;
      throw error;
    } finally {
      done();
    }
  }

  async json(method, path, content, doing) {
    const body = content === undefined ? undefined : JSON.stringify(content);
    const answer = await this.request(method, path, { body, doing });
    return answer.status === 204 ? null : answer.json();
  }

  async bytes(path) {
    return (await this.request("GET", path)).arrayBuffer();
  }

  async sendDrum(slot, file, doing) {
    const options = { body: file, name: file.name, doing };
    return (await this.request("PUT", `api/drums/${slot}`, options)).json();
  }

  async sendPreset(file) {
    return (await this.request("PUT", "api/preset", { body: file, name: file.name })).json();
  }

  // Let the browser save an answer as a file. Returns what a person should know about it.
  async save(path, content, name, doing) {
    const body = JSON.stringify(content);
    const answer = await this.request("POST", path, { body, doing });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    return decodeURIComponent(answer.headers.get(NOTES) ?? "");
  }
}
