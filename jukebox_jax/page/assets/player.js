// What both pages share: elements, times, and a player of one sound in several versions.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);

/** An element with text and attributes; what is written by people only ever becomes text. */
function element(tag, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const say = (text) => { byId("said").textContent = text; };

function clock(seconds, digits = 1) {
  const unit = 10 ** digits;
  const all = Math.round(Math.max(0, seconds) * unit);
  const minutes = Math.floor(all / (60 * unit));
  return `${minutes}:${((all - minutes * 60 * unit) / unit).toFixed(digits).padStart(digits ? 3 + digits : 2, "0")}`;
}

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

function table(parent, rows) {
  parent.replaceChildren(...rows.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]));
}

/** What lies in a block: a picture's address, or a sound's, made once. */
const addresses = new Map();
function pictureOf(block) {
  return `data:image/png;base64,${byId(block).textContent}`;
}
function soundOf(block) {
  if (!addresses.has(block)) {
    const text = atob(byId(block).textContent);
    const bytes = Uint8Array.from(text, (one) => one.charCodeAt(0));
    addresses.set(block, URL.createObjectURL(new Blob([bytes], { type: "audio/mpeg" })));
  }
  return addresses.get(block);
}

/** Plays one of several versions of a sound; another version goes on at the same moment. */
class Player {
  constructor({ label, changed, tick }) {
    this.label = label; // from a version's key to its name and what it is: [short, long]
    this.changed = changed;
    this.tick = tick;
    this.sounds = new Map(); // from a version's key to its audio element
    this.versions = {};
    this.key = null;
    this.wanted = false; // to play
    byId("play").addEventListener("click", () => this.toggle());
    const view = byId("view");
    const at = (event) => {
      const box = view.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * this.length;
    };
    view.addEventListener("pointerdown", (event) => {
      view.setPointerCapture(event.pointerId);
      this.seek(at(event));
    });
    view.addEventListener("pointermove", (event) => {
      if (view.hasPointerCapture(event.pointerId)) this.seek(at(event));
      const hover = byId("hover");
      hover.hidden = event.pointerType === "touch";
      hover.textContent = clock(at(event));
      hover.style.left = `${(100 * at(event)) / (this.length || 1)}%`;
    });
    view.addEventListener("pointerleave", () => { byId("hover").hidden = true; });
    const frame = () => {
      if (this.wanted) this.show();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  get audio() { return this.sounds.get(this.key); }
  get time() { return this.audio ? (this.audio.aim ?? this.audio.currentTime) : 0; }
  get length() { return this.versions[this.key]?.seconds ?? 0; }
  get playing() { return this.wanted; }

  /** Loads a sound: versions by key, each {sound, picture, seconds}; keeps the key if it has it. */
  load(versions, key, time = 0) {
    this.pause();
    this.sounds = new Map();
    this.versions = versions;
    this.key = null;
    const keys = Object.keys(versions);
    byId("versions").replaceChildren(...keys.map((one) => {
      const [short, long] = this.label(one);
      const button = element("button", { type: "button", "data-key": one, "aria-pressed": "false", title: long }, element("b", { text: short }));
      if (long) button.append(" ", element("span", { text: long }));
      button.addEventListener("click", () => this.select(one));
      return button;
    }));
    this.select(keys.includes(String(key)) ? String(key) : keys[0], time);
  }

  /** Another version of the sound, at the moment where this one is. */
  select(key, time = this.time) {
    if (!(key in this.versions) || (key === this.key && this.audio)) return;
    const before = this.audio;
    this.key = key;
    if (!this.sounds.has(key)) {
      const audio = new Audio();
      audio.preload = "auto";
      audio.addEventListener("ended", () => { if (audio === this.audio) this.ended(); });
      audio.addEventListener("error", () => say("This sound cannot be played by this browser."));
      audio.src = soundOf(this.versions[key].sound);
      audio.load(); // some phones load nothing by themselves
      this.sounds.set(key, audio);
    }
    const audio = this.audio;
    this.place(audio, Math.min(time, Math.max(0, this.length - 0.01)), () => {
      if (audio !== this.audio) return;
      if (before && !before.paused) this.place(audio, before.currentTime);
      if (this.wanted) this.start();
      before?.pause();
    });
    byId("picture").src = pictureOf(this.versions[key].picture);
    for (const button of byId("versions").children) button.setAttribute("aria-pressed", String(button.dataset.key === key));
    byId("view").setAttribute("aria-valuemax", this.length.toFixed(1));
    byId("length").textContent = clock(this.length);
    byId("middle").textContent = clock(this.length / 2, 1);
    byId("end").textContent = clock(this.length, 1);
    this.changed?.(key);
    this.show();
  }

  /** Puts a sound at a time, as soon as it can be; `aim` is the time until it is there. */
  place(audio, time, then = () => {}) {
    audio.aim = time;
    const put = () => {
      if (Math.abs(audio.currentTime - time) < 0.005) {
        audio.aim = undefined;
        then();
        return;
      }
      audio.addEventListener("seeked", () => {
        if (audio.aim === time) audio.aim = undefined; // otherwise another aim came meanwhile
        then();
      }, { once: true });
      audio.currentTime = time;
    };
    if (audio.readyState >= 1) put();
    else audio.addEventListener("loadedmetadata", put, { once: true });
  }

  start() {
    this.audio?.play().catch((error) => {
      if (error.name === "AbortError") return; // another version or a pause came first
      this.wanted = false;
      this.show();
      say("The browser did not let the sound play.");
    });
  }

  play() {
    if (!this.audio) return;
    if (this.time >= this.length - 0.02) this.seek(0);
    this.wanted = true;
    this.start();
    this.show();
  }

  pause() {
    this.wanted = false;
    for (const audio of this.sounds.values()) audio.pause();
    this.show();
  }

  toggle() { if (this.wanted) this.pause(); else this.play(); }

  ended() { this.wanted = false; this.show(); say("The end."); }

  seek(time) {
    if (!this.audio) return;
    this.place(this.audio, Math.min(Math.max(0, time), Math.max(0, this.length - 0.01)));
    this.show();
  }

  show() {
    const time = Math.min(this.time, this.length);
    const view = byId("view");
    byId("head").style.left = `${(100 * time) / (this.length || 1)}%`;
    byId("now").textContent = clock(time);
    view.setAttribute("aria-valuenow", time.toFixed(1));
    view.setAttribute("aria-valuetext", `${clock(time)} of ${clock(this.length)}`);
    const play = byId("play");
    play.classList.toggle("playing", this.wanted);
    play.setAttribute("aria-label", this.wanted ? "Pause" : "Play");
    this.tick?.(time, this.length);
  }
}

/** Keys of a page, except where an element has a use for them itself. */
function keys(player, more) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (target.closest("select, input, textarea")) return;
    const pressed = target.closest("button, summary, a") && (event.key === " " || event.key === "Enter");
    if (pressed) return;
    const step = event.shiftKey ? 1 : 5;
    if (event.key === " ") player.toggle();
    else if (event.key === "ArrowLeft") player.seek(player.time - step);
    else if (event.key === "ArrowRight") player.seek(player.time + step);
    else if (event.key === "Home") player.seek(0);
    else if (!more(event.key)) return;
    event.preventDefault();
  });
}
