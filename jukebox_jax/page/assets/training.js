// The page of a training run.

const SPACE = byId("svg").namespaceURI;
const COLOURS = ["one", "two", "three", "four", "five", "six"];
let scale = "linear";

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function figure(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential(2).replace("-", "−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

/** Places for some three to six lines, at round numbers. */
function ticks(low, high, count = 4) {
  const rough = (high - low) / count || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * ([1, 2, 5, 10].find((one) => one * unit >= rough) ?? 10);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
    for (const one of high - low > 3 ? [1] : high - low > 1.2 ? [1, 3] : [1, 1.5, 2, 3, 5, 7]) {
      const at = power + Math.log10(one);
      if (at >= low - 1e-9 && at <= high + 1e-9) found.push(at);
    }
  }
  return found.length > 1 ? found : [low, high];
}

const nameOf = (series) => [series.level === null ? "" : `level ${series.level}`, series.split].filter(Boolean).join(", ");

class Chart {
  constructor(parent, { title, series }) {
    this.series = series;
    this.steps = [...new Set(series.flatMap((one) => one.points.map(([step]) => step)))].sort((a, b) => a - b);
    this.at = null; // the step that is pointed at
    const heading = element("h3", { text: title });
    this.plot = element("div", { class: "plot", tabindex: "0", role: "group", "aria-roledescription": "chart", "aria-label": this.told(title) });
    this.step = element("p", { class: "at" });
    this.values = series.map(() => element("td", {}));
    const splits = [...new Set(series.map((one) => one.split))];
    const levels = [...new Set(series.map((one) => one.level))];
    const head = element("tr", {}, element("td", {}), ...splits.map((split) => element("th", { scope: "col", text: split })));
    const rows = levels.map((level) => element("tr", {},
      element("th", { scope: "row", text: level === null ? "" : `level ${level}` }),
      ...splits.map((split) => {
        const index = series.findIndex((one) => one.level === level && one.split === split);
        if (index < 0) return element("td", {});
        const key = element("span", { class: split === "training" ? "key" : "key dots" });
        key.style.setProperty("--colour", `var(--${this.colour(series[index])})`);
        this.values[index].append(key, element("b", {}));
        return this.values[index];
      })));
    const legend = element("table", { class: "legend" }, element("thead", {}, head), element("tbody", {}, ...rows));
    parent.append(element("figure", { class: "chart panel" }, heading, this.plot, this.step, legend));
    this.plot.addEventListener("pointermove", (event) => this.point(event.clientX));
    this.plot.addEventListener("pointerdown", (event) => this.point(event.clientX));
    this.plot.addEventListener("pointerleave", () => this.read(null));
    this.plot.addEventListener("blur", () => this.read(null));
    this.plot.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
      if (!by) return;
      const last = this.steps.length - 1;
      const now = this.at === null ? last : this.steps.indexOf(this.at);
      this.read(this.steps[Math.min(last, Math.max(0, now + by))]);
      say(`Step ${this.at}: ${this.series.map((one) => `${nameOf(one)} ${figure(this.valueAt(one))}`).join(", ")}`);
      event.preventDefault();
      event.stopPropagation();
    });
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.read(null);
  }

  told(title) {
    const ends = this.series.map((one) => {
      const known = one.points.filter(([, value]) => value !== null);
      return known.length ? `${nameOf(one)} from ${figure(known[0][1])} to ${figure(known.at(-1)[1])}` : `${nameOf(one)} without values`;
    });
    return `${title}: ${ends.join("; ")}`;
  }

  colour(one) {
    return COLOURS[(one.level ?? (one.split === "training" ? 0 : 1)) % COLOURS.length];
  }

  valueAt(one) {
    let found = null;
    for (const [step, value] of one.points) {
      if (step > (this.at ?? Infinity)) break;
      found = value ?? found;
    }
    return found;
  }

  draw() {
    const width = this.plot.clientWidth, height = 200;
    if (!width) return;
    const logarithmic = scale === "log" && this.series.every((one) => one.points.every(([, value]) => value === null || value > 0));
    const put = (value) => (logarithmic ? Math.log10(value) : value);
    const known = this.series.flatMap((one) => one.points.filter(([, value]) => value !== null).map(([, value]) => put(value)));
    if (!known.length) return;
    let low = Math.min(...known), high = Math.max(...known);
    if (high - low < 1e-12 * Math.max(1, Math.abs(high))) { low -= Math.abs(low) / 10 || 1; high += Math.abs(high) / 10 || 1; }
    const marks = logarithmic ? logTicks(low, high) : ticks(low, high);
    const label = (mark) => figure(logarithmic ? Number((10 ** mark).toPrecision(3)) : mark);
    const left = 14 + 7.4 * Math.max(...marks.map((mark) => label(mark).length)), right = 10, top = 8, bottom = 24;
    const first = this.steps[0], last = this.steps.at(-1);
    this.x = (step) => left + ((width - left - right) * (step - first)) / (last - first || 1);
    this.y = (value) => top + ((height - top - bottom) * (high - put(value))) / (high - low);
    const svg = drawn("svg", { width, height, "aria-hidden": "true" });
    for (const mark of marks) {
      const y = top + ((height - top - bottom) * (high - mark)) / (high - low);
      svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }),
        drawn("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, label(mark)));
    }
    for (const mark of ticks(first, last, Math.max(3, Math.floor(width / 90)))) {
      svg.append(drawn("text", { x: this.x(mark), y: height - 6, "text-anchor": this.x(mark) > width - right - 20 ? "end" : "middle" }, mark.toLocaleString("en")));
    }
    for (const one of this.series) {
      const held = one.split !== "training";
      let path = "", broken = true;
      for (const [step, value] of one.points) {
        if (value === null) { broken = true; continue; }
        path += `${broken ? "M" : "L"}${this.x(step).toFixed(1)} ${this.y(value).toFixed(1)}`;
        broken = false;
      }
      const line = drawn("path", { class: held ? "line held" : "line", d: path });
      line.style.stroke = `var(--${this.colour(one)})`;
      svg.append(line);
      if (!held || one.points.length > 60) continue;
      for (const [step, value] of one.points) {
        if (value === null) continue;
        const dot = drawn("circle", { cx: this.x(step), cy: this.y(value), r: 3 });
        dot.style.fill = `var(--${this.colour(one)})`;
        svg.append(dot);
      }
    }
    this.cursor = drawn("line", { class: "cursor", y1: top, y2: height - bottom });
    svg.append(this.cursor);
    this.plot.replaceChildren(svg);
    this.read(this.at);
  }

  point(clientX) {
    if (!this.x) return;
    const at = clientX - this.plot.getBoundingClientRect().left;
    const near = (step) => Math.abs(this.x(step) - at);
    this.read(this.steps.reduce((best, step) => (near(step) < near(best) ? step : best)));
  }

  read(step) {
    this.at = step;
    this.step.textContent = step === null ? `at the end, step ${this.steps.at(-1).toLocaleString("en")}` : `at step ${step.toLocaleString("en")}`;
    this.series.forEach((one, index) => { this.values[index].lastChild.textContent = figure(this.valueAt(one)); });
    if (!this.cursor) return;
    this.cursor.setAttribute("visibility", step === null ? "hidden" : "visible");
    if (step !== null) for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, this.x(step));
  }
}

const titled = (name) => {
  const text = name.replaceAll("_", " ");
  return [text[0].toUpperCase() + text.slice(1), ""];
};

const player = new Player({ label: titled });
let shown = { step: data.examples.length - 1, item: 0 };

function hear(change) {
  const next = { ...shown, ...change };
  const versions = data.examples[next.step]?.items[next.item];
  if (!versions) return;
  const same = next.item === shown.item;
  const { playing, key, time } = player;
  shown = next;
  player.load(versions, key ?? "original", same ? time : 0);
  if (playing) player.play();
  for (const [group, index] of [["steps", next.step], ["items", next.item]]) {
    [...byId(group).children].forEach((button, place) => button.setAttribute("aria-pressed", String(place === index)));
  }
  if (key) say(`After step ${data.examples[next.step].step}, song ${next.item + 1}`);
}

function choices(group, texts, choose) {
  byId(group).replaceChildren(...texts.map((text, index) => {
    const button = element("button", { type: "button", text, "aria-pressed": "false" });
    button.addEventListener("click", () => choose(index));
    return button;
  }));
}

if (data.examples.length) {
  byId("sounds").hidden = false;
  choices("steps", data.examples.map(({ step }) => step.toLocaleString("en")), (step) => hear({ step }));
  choices("items", data.examples.at(-1).items.map((_, index) => `Song ${index + 1}`), (item) => hear({ item }));
  hear({});
  keys(player, (key) => {
    if (/^[1-9]$/.test(key)) player.select(Object.keys(player.versions)[Number(key) - 1]);
    else if (key === "ArrowUp") hear({ step: Math.max(0, shown.step - 1) });
    else if (key === "ArrowDown") hear({ step: Math.min(data.examples.length - 1, shown.step + 1) });
    else if (key === "n" || key === "N") hear({ item: (shown.item + 1) % data.examples[shown.step].items.length });
    else return false;
    return true;
  });
}

byId("versions").setAttribute("aria-label", "Version");
byId("name").textContent = data.name;
byId("summary").textContent = data.what;
byId("facts").append(...data.facts.map(([name, value]) => element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
const all = data.charts.map((chart) => new Chart(byId(chart.main ? "charts" : "more-charts"), chart));
byId("curves").hidden = !all.length;
byId("others").hidden = !data.charts.some((chart) => !chart.main);
for (const button of byId("scale").children) {
  button.addEventListener("click", () => {
    scale = button.dataset.scale;
    for (const one of byId("scale").children) one.setAttribute("aria-pressed", String(one === button));
    all.forEach((chart) => chart.draw());
  });
}
for (const [section, values] of data.config) {
  const list = element("dl", { class: "table" });
  table(list, values);
  byId("config").append(element("h3", { text: section || "other" }), list);
}
