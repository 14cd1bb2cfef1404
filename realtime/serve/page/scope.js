// The screen: what was heard as a waveform, what it was made of as stacks, on one axis of heard time.

const FRAME_S = 0.08;
const ATLAS = 1024;
const GAP_S = 0.24;
const HEAD_AT = 0.68;
const KEPT_S = 30;

export class Scope {
  layers = 32;
  depth = 0;
  #canvas;
  #context;
  #atlas = document.createElement("canvas");
  #painter = this.#atlas.getContext("2d");
  #column = 0;
  #frames = []; // {atS, column, codes}: a column of the screen
  #steps = new Map(); // of a delay voice: step -> its column
  #delayed = false;
  #bars = []; // {atS, peak}
  #origins = new Map(); // utterance -> second of the axis at which it begins
  #colours = [];
  #edges = []; // of the layers, from 0 at the bottom to 1 at the top
  #nowS = 0;
  #endS = 0;
  #width = 0;
  #height = 0;
  #top = 0;
  #loudest = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.shape(32, 1024);
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
  }

  /** What stacks of the voice are like. */
  shape(layers, codes, delayed = false) {
    if (this.layers !== layers || this.#delayed !== delayed) this.#frames = [];
    this.layers = layers;
    this.#delayed = delayed;
    this.#colours = Array.from({ length: codes }, (_, code) => colourOf(code / codes));
    // Strata: the coarse layers carry most of the speech, so they are drawn thicker.
    const weights = Array.from({ length: layers }, (_, layer) => 1 / (1 + (4.5 * layer) / layers));
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    let edge = 0;
    this.#edges = [0, ...weights.map((weight) => (edge += weight / whole))];
    this.draw();
  }

  /** Another connection: what is drawn stays, what is known of its utterances does not. */
  forget() {
    this.#origins.clear();
    this.cut();
  }

  begin(utterance) {
    if (this.#origins.has(utterance)) return;
    const atS = this.#endS === 0 ? 0 : this.#endS + GAP_S;
    this.#origins.set(utterance, atS);
    this.#endS = atS;
    this.#steps.clear();
  }

  /** Frames of an utterance: `codes` has `layers` of them each, as many as `depths` tells are heard. */
  add(utterance, startS, layers, depths, codes) {
    this.begin(utterance);
    this.#canvas.parentElement.dataset.used = "true";
    const origin = this.#origins.get(utterance);
    for (let frame = 0; frame * layers < codes.length; frame++) {
      const atS = origin + startS + frame * FRAME_S;
      const heard = codes.slice(frame * layers, frame * layers + Math.min(depths[frame] ?? layers, layers));
      if (this.#delayed) this.#lay(Math.round(startS / FRAME_S) + frame, atS, heard);
      else this.#paint(this.#put(atS, heard));
      this.#endS = Math.max(this.#endS, atS + FRAME_S);
    }
  }

  #put(atS, codes) {
    const made = { atS, column: this.#column++ % ATLAS, codes };
    this.#painter.clearRect(made.column, 0, 1, this.#atlas.height);
    this.#frames.push(made);
    return made;
  }

  /** A delay voice makes each layer a step after the one below: its stacks lean, and begin and end as staircases. */
  #lay(index, atS, codes) {
    for (let layer = 0; layer < codes.length; layer++) {
      let step = this.#steps.get(index + layer);
      if (!step) this.#steps.set(index + layer, (step = this.#put(atS + layer * FRAME_S, [])));
      step.codes[layer] = codes[layer];
      this.#paint(step);
    }
  }

  /** Nothing that was made and not heard will be. */
  cut() {
    this.#frames = this.#frames.filter(({ atS }) => atS < this.#nowS);
    this.#steps.clear();
    this.#endS = this.#nowS;
  }

  heard(utterance, seconds, peak) {
    if (!this.#origins.has(utterance)) return;
    this.#nowS = Math.max(this.#nowS, this.#origins.get(utterance) + seconds);
    this.#endS = Math.max(this.#endS, this.#nowS);
    this.#bars.push({ atS: this.#nowS, peak });
    this.#loudest = Math.max(peak, this.#loudest * 0.9995);
    const oldS = this.#nowS - KEPT_S;
    while (this.#frames.length && this.#frames[0].atS < oldS) this.#frames.shift();
    while (this.#bars.length && this.#bars[0].atS < oldS) this.#bars.shift();
  }

  draw() {
    const g = this.#context;
    const [width, height, top] = [this.#width, this.#height, this.#top];
    if (!width) return;
    const perS = Math.max(70, Math.min(130, width / 9));
    const headX = Math.round(width * HEAD_AT);
    const xOf = (atS) => headX + (atS - this.#nowS) * perS;
    const stackHeight = height - top;
    g.clearRect(0, 0, width, height);

    g.fillStyle = "rgb(255 255 255 / 5%)";
    for (const edge of this.#edges) g.fillRect(0, Math.round(top + stackHeight * (1 - edge)), width, 1);

    const depthY = top + stackHeight * (1 - this.#edges[Math.min(this.depth, this.layers)]);
    g.fillStyle = "rgb(255 255 255 / 4%)";
    g.fillRect(0, depthY, width, top + stackHeight - depthY);
    g.fillStyle = "rgb(255 122 79 / 55%)";
    for (let x = 0; this.depth && x < width; x += 8) g.fillRect(x, depthY - 1, 3, 1);

    g.imageSmoothingEnabled = false;
    for (const { atS, column } of this.#frames) {
      const x = xOf(atS);
      if (x > width || x + FRAME_S * perS < 0) continue;
      g.drawImage(this.#atlas, column, 0, 1, this.#atlas.height, x, top, FRAME_S * perS - 1, stackHeight);
    }
    // What is made and not heard yet is dimmed; in the stacks of a delay voice the edge leans as they do.
    const edgeOf = (layer) => headX + (this.#delayed ? layer * FRAME_S * perS : 0);
    for (let layer = 0; layer < this.layers; layer++) {
      const upper = top + stackHeight * (1 - this.#edges[layer + 1]);
      const high = stackHeight * (this.#edges[layer + 1] - this.#edges[layer]);
      g.fillStyle = "rgb(16 14 19 / 52%)";
      g.fillRect(edgeOf(layer), upper, width, high);
      g.fillStyle = "#fff6f1";
      g.fillRect(edgeOf(layer), upper, 1.5, high + 0.5);
    }

    const waveHeight = top - 10;
    const middle = waveHeight / 2 + 5;
    const step = 3;
    const peaks = new Map();
    for (const { atS, peak } of this.#bars) {
      const slot = Math.round(((atS - this.#nowS) * perS) / step);
      peaks.set(slot, Math.max(peak, peaks.get(slot) ?? 0));
    }
    g.fillStyle = "#ff7a4f";
    let last = 0;
    for (let slot = -Math.ceil(headX / step); slot <= 0; slot++) {
      const peak = (last = peaks.get(slot) ?? last * 0.5);
      const half = Math.max(0.75, (peak / Math.max(0.2, this.#loudest)) * (waveHeight / 2 - 6));
      g.globalAlpha = peaks.size ? 0.3 + 0.7 * Math.max(0, 1 + (slot * step) / headX) : 0.3;
      g.fillRect(headX + slot * step - 2, middle - half, 2, half * 2);
    }
    g.globalAlpha = 1;
    g.fillStyle = "rgb(255 255 255 / 14%)";
    g.fillRect(headX, middle - 0.75, width - headX, 1);
    g.fillStyle = "#fff6f1";
    g.fillRect(headX, 0, 1.5, top);
  }

  #paint({ column, codes }) {
    const height = this.#atlas.height;
    for (let layer = 0; layer < codes.length; layer++) {
      const colour = this.#colours[codes[layer]];
      if (!colour) continue;
      const upper = Math.round(height * (1 - this.#edges[layer + 1]));
      const lower = Math.round(height * (1 - this.#edges[layer]));
      this.#painter.fillStyle = colour;
      this.#painter.fillRect(column, upper, 1, Math.max(1, lower - upper - (lower - upper > 3 ? 1 : 0)));
    }
  }

  #resize() {
    const { width, height } = this.#canvas.getBoundingClientRect();
    const scale = Math.min(2, devicePixelRatio || 1);
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    this.#context.setTransform(scale, 0, 0, scale, 0, 0);
    this.#width = width;
    this.#height = height;
    this.#top = Math.round(height * 0.36);
    this.#atlas.width = ATLAS;
    this.#atlas.height = Math.max(1, Math.round((height - this.#top) * scale));
    for (const frame of this.#frames) this.#paint(frame);
    this.draw();
  }
}

/** From deep violet over magenta and coral to pale gold. */
function colourOf(part) {
  const stops = [[52, 30, 104], [112, 38, 132], [186, 52, 120], [240, 92, 84], [253, 158, 96], [250, 226, 168]];
  const place = part * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  const mix = place - low;
  const [red, green, blue] = stops[low].map((value, index) => Math.round(value + (stops[low + 1][index] - value) * mix));
  return `rgb(${red} ${green} ${blue})`;
}
