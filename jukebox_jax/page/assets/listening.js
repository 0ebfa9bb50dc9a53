// The listening page of a recording session.

const KEY = `jukebox_jax ${data.key}`;
let songs = data.songs.filter((song) => Object.keys(song.sounds).length);
let current = null;
let words = [];
const cards = new Map();
const chosen = new Set(remembered());

function remembered() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return found.filter((one) => data.songs.some((song) => song.number === one));
  } catch { return []; } // some browsers keep nothing for a file
}

function remember() {
  try { localStorage.setItem(KEY, JSON.stringify([...chosen])); } catch { /* as above */ }
}

function levelName(level) {
  const number = Number(level);
  if (data.top === 0) return [`Level ${number}`, ""];
  const kind = number === 0 ? "finest" : number === data.top ? "coarsest" : "between";
  return [String(number), kind];
}

const nameOf = (song) => `Song ${song.number}`;
const describe = (song) => song.labels.filter(([name]) => ["artist", "genre", "mood"].includes(name)).map(([, value]) => value).join(" · ");

const MEASURES = [ // name, title, how it is written, what is better, what it says
  ["bits_per_code", "bits a code", (x) => x.toFixed(3), -1, "how improbable its prior finds the codes, on average"],
  ["repetition", "repeated", percent, -1, "the greatest part of the codes that equal those some lag before"],
  ["clipping", "clipped", percent, -1, "part of the samples beyond full scale"],
  ["silence", "silent", percent, -1, "part of the time below −60 dB"],
  ["loudness", "loudness", (x) => `${x.toFixed(1)} dB`.replace("-", "−"), 0, "root mean square below full scale"],
  ["lyrics", "words timed", percent, 1, "part of the lyrics that the alignment gives a time"],
];

function percent(share) {
  const value = 100 * share;
  return `${value === 0 || value >= 10 ? value.toFixed(0) : value.toPrecision(2)} %`;
}

function best(name, sign) {
  const values = data.songs.map((song) => song.scores[name]);
  if (!sign || values.length < 2 || values.some((one) => one === null)) return null;
  const sorted = [...values].sort((a, b) => sign * (b - a));
  return sorted[0] === sorted.at(-1) ? null : sorted[0];
}

function card(song) {
  const play = element("button", { type: "button", class: "open", "aria-label": `Play song ${song.number}` });
  play.append(element("span", { class: "number", text: song.number, "aria-hidden": "true" }));
  play.addEventListener("click", () => {
    if (current === song) player.toggle();
    else open(song, { play: true });
  });
  const choose = element("button", { type: "button", class: "choose", "aria-pressed": "false", text: "Choose" });
  choose.addEventListener("click", () => toggleChoice(song));
  const top = Object.values(song.sounds)[0];
  const strip = element("button", { type: "button", class: "strip", tabindex: "-1", "aria-hidden": "true" });
  strip.append(element("img", { src: pictureOf(top.picture), alt: "", draggable: "false" }), element("span", { class: "head" }));
  strip.addEventListener("click", (event) => {
    const box = strip.getBoundingClientRect();
    const time = (top.seconds * (event.clientX - box.left)) / box.width;
    if (current === song) player.seek(time);
    else open(song, { play: true, time });
  });
  const scores = element("dl", { class: "scores" });
  for (const [name, title, write, sign, what] of MEASURES) {
    const value = song.scores[name];
    if (value === null) continue;
    const top = best(name, sign) === value;
    scores.append(element("div", { class: top ? "best" : null, title: top ? `${what}; the best of all` : what }, element("dt", { text: title }), element("dd", { text: write(value) })));
  }
  const labels = element("dl", { class: "labels" });
  for (const [name, value] of [...song.labels, ["seed", song.seed ?? "none"]]) {
    labels.append(element("div", {}, element("dt", { text: name }), element("dd", { text: value })));
  }
  const place = data.songs.length > 1 ? element("span", { class: "place", text: `${ordinal(song.place)} by scores` }) : "";
  const made = element("li", { class: "song", id: `song-${song.number}` },
    element("div", { class: "row" }, play, element("h3", {}, element("span", { text: nameOf(song) }), " ", place), choose),
    strip, labels, scores);
  cards.set(song, { made, play, choose, head: strip.querySelector(".head") });
  return made;
}

function ordinal(number) {
  const ending = number % 100 >= 11 && number % 100 <= 13 ? "th" : ["th", "st", "nd", "rd"][number % 10] ?? "th";
  return `${number}${ending}`;
}

function open(song, { play = false, time = 0, quiet = false } = {}) {
  current = song;
  for (const [one, { made }] of cards) {
    if (one === song) made.setAttribute("aria-current", "true");
    else made.removeAttribute("aria-current");
  }
  byId("title").textContent = nameOf(song);
  byId("subtitle").textContent = describe(song);
  showLyrics(song);
  player.load(song.sounds, player.key ?? Object.keys(song.sounds)[0], time);
  if (play) player.play();
  if (!quiet) say(`${nameOf(song)}, ${describe(song)}, level ${player.key}`);
}

function showLyrics(song) {
  const box = byId("lyrics");
  words = [];
  const lines = [[]];
  if (song.words) {
    for (const word of song.words) {
      const text = word.text.trimEnd();
      const leading = text.length - text.trimStart().length;
      if (text.slice(0, leading).includes("\n")) lines.push([]);
      const made = element("span", { class: "word", text: text.trimStart() });
      made.addEventListener("click", () => player.seek(word.start));
      words.push({ ...word, made });
      lines.at(-1).push(made, word.text.slice(text.length).includes("\n") ? "" : " ");
      if (word.text.slice(text.length).includes("\n")) lines.push([]);
    }
  } else if (song.text) {
    lines.splice(0, 1, ...song.text.split("\n").map((line) => [line]));
  }
  box.replaceChildren(...lines.filter((line) => line.length).map((line) => element("p", {}, ...line)));
  box.hidden = !song.words?.length && !song.text;
  box.classList.toggle("timed", Boolean(song.words?.length));
  box.scrollTop = 0;
  const untimed = byId("untimed");
  untimed.hidden = Boolean(song.words?.length) || !song.text;
  untimed.textContent = `When each word is sung is not known${data.attends ? ": sample with --config.align=True" : ""}.`;
}

let lit = null;
function follow(time) {
  let now = null;
  for (const word of words) {
    word.made.classList.toggle("sung", time >= word.start);
    if (time >= word.start && time < word.end) now = word;
  }
  if (now === lit) return;
  lit?.made.classList.remove("now");
  now?.made.classList.add("now");
  lit = now;
  if (!now) return;
  const box = byId("lyrics");
  const line = now.made.parentElement;
  const top = line.offsetTop - box.offsetTop - box.clientHeight / 2 + line.offsetHeight / 2;
  box.scrollTo({ top, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function toggleChoice(song) {
  if (chosen.has(song.number)) chosen.delete(song.number);
  else chosen.add(song.number);
  remember();
  showChoice();
  say(`${nameOf(song)} ${chosen.has(song.number) ? "chosen" : "no longer chosen"}`);
}

function showChoice() {
  for (const [song, { made, choose }] of cards) {
    const one = chosen.has(song.number);
    made.classList.toggle("chosen", one);
    choose.setAttribute("aria-pressed", String(one));
    choose.setAttribute("aria-label", `Choose song ${song.number}`);
    choose.textContent = one ? "✓ Chosen" : "Choose";
  }
  const numbers = [...chosen].sort((a, b) => a - b);
  byId("chosen").textContent = numbers.length
    ? `${plural(numbers.length, "song", "songs")}: ${numbers.join(", ")}. This command makes a folder of what you chose:`
    : "Nothing yet. What you choose is remembered in this browser, and becomes a command to copy.";
  byId("command").hidden = !numbers.length;
  const line = data.pick[0] + numbers.join(",") + data.pick[1];
  byId("line").replaceChildren(...line.split(" ").flatMap((word) => [element("span", { text: word }), " "]));
}

async function copy() {
  const line = byId("line");
  try { await navigator.clipboard.writeText(line.textContent.trim()); } catch {
    const range = document.createRange();
    range.selectNodeContents(line);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    say("Selected: press Ctrl-C or ⌘-C.");
    return;
  }
  byId("copy").textContent = "Copied";
  say("The command is copied.");
  setTimeout(() => { byId("copy").textContent = "Copy"; }, 2000);
}

function list() {
  const order = byId("order").value;
  songs.sort((a, b) => a[order] - b[order]);
  byId("songs").replaceChildren(...songs.map((song) => cards.get(song).made));
}

const player = new Player({
  label: levelName,
  changed: (key) => { if (player?.playing) say(`Level ${key}`); },
  tick: (time, length) => {
    follow(time);
    for (const [song, { made, play, head }] of cards) {
      const here = song === current;
      made.classList.toggle("playing", here && player.playing);
      play.setAttribute("aria-label", `${here && player.playing ? "Pause" : "Play"} song ${song.number}`);
      head.style.left = here ? `${(100 * time) / (length || 1)}%` : "";
    }
  },
});

keys(player, (key) => {
  if (/^\d$/.test(key)) player.select(key);
  else if (key === "ArrowUp" || key === "ArrowDown") {
    const next = songs[songs.indexOf(current) + (key === "ArrowUp" ? -1 : 1)];
    if (next) {
      open(next, { play: player.playing });
      cards.get(next).made.scrollIntoView({ block: "nearest" });
    }
  } else if (key === "c" || key === "C") toggleChoice(current);
  else return false;
  return true;
});

byId("name").textContent = data.name;
byId("summary").textContent = [
  plural(data.songs.length, "song", "songs"),
  `${data.seconds.toFixed(1)} s each`,
  `${data.rate / 1000} kHz`,
  data.levels.length === 1 ? "one level" : `${data.levels.length} levels`,
].join(" · ");
byId("take").hidden = !data.take;
byId("take").textContent = data.take;
byId("order").closest("label").hidden = data.songs.length < 2;
byId("scored").textContent = data.scored.fully
  ? `Scores of level ${data.scored.level}, by launch/take.py score. They find what is broken, not what is good.`
  : `Measured from the sounds of level ${data.scored.level}; launch/take.py score adds bits a code. They find what is broken, not what is good.`;
if (data.timings.length) {
  const rows = data.timings.map(({ level, seconds, drawing, codes, partly }) => element("tr", {},
    element("th", { scope: "row", class: "whole", text: `Level ${level}` }),
    element("td", { class: "whole", text: `${seconds.toFixed(seconds < 10 ? 2 : 0)} s` }),
    element("td", { text: `${data.levels.find((one) => one.level === level)?.codes_per_second ?? "–"}` }),
    element("td", { text: partly ? "some codes were there before" : drawing ? Math.round(codes / drawing).toLocaleString("en") : "–" })));
  byId("timings").append(element("table", {}, element("thead", {}, element("tr", {}, ...["Level", "Took", "Codes in a second of sound", "Codes drawn a second, all songs"].map((text) => element("th", { scope: "col", text })))), element("tbody", {}, ...rows)));
} else byId("timings").append(element("p", { text: "Not recorded." }));
table(byId("settings"), data.settings);
byId("footer").textContent = Object.entries(data.versions).map(([name, version]) => `${name} ${version}`).join(" · ");
byId("copy").addEventListener("click", copy);
byId("order").addEventListener("change", list);
songs.forEach(card);
list();
showChoice();
open(songs[0], { quiet: true });
