// The words on the stage: faint until they are heard.

const KEPT = 40;

/** One utterance: its text, and how far it was heard. */
class Line {
  utterance = null;
  ended = false;
  #text = "";
  #words = []; // {until: characters, startS}
  #found = 0;
  #spans = []; // {element, from}
  #reached = -1;

  constructor(asked) {
    this.element = document.createElement("article");
    this.element.className = "said";
    if (asked) {
      const question = document.createElement("p");
      question.className = "asked";
      question.textContent = asked;
      this.element.append(question);
    }
    this.body = document.createElement("p");
    this.body.className = "spoken";
    this.element.append(this.body);
  }

  add(text) {
    for (const piece of text.match(/\s+|\S+/g) ?? []) {
      const last = this.#spans.at(-1);
      if (/\s/.test(piece)) {
        this.body.append(piece);
      } else if (last && !/\s$/.test(this.#text)) {
        last.element.textContent += piece;
      } else {
        const element = document.createElement("span");
        element.className = "word";
        element.textContent = piece;
        this.body.append(element);
        this.#spans.push({ element, from: this.#text.length });
      }
      this.#text += piece;
    }
  }

  /** When words begin to sound, in seconds of the utterance. */
  time(words) {
    const text = this.#text.toLowerCase();
    for (const { text: word, start_s } of words) {
      const at = text.indexOf(word.toLowerCase(), this.#found);
      // A word that is spelled otherwise than it was written lies behind the one before, wherever it is.
      if (at >= 0 && at - this.#found < 80) this.#found = at + word.length;
      this.#words.push({ until: this.#found, startS: start_s });
    }
  }

  heard(seconds) {
    let until = -1;
    for (const word of this.#words) {
      if (word.startS > seconds) break;
      until = word.until;
    }
    if (until === this.#reached) return;
    this.#reached = until;
    let now = null;
    for (const { element, from } of this.#spans) {
      const isHeard = from < until;
      element.classList.toggle("heard", isHeard);
      element.classList.remove("now");
      if (isHeard) now = element;
    }
    if (!this.ended) now?.classList.add("now");
  }

  end(fate, { cut = false, all = false } = {}) {
    if (this.ended) return;
    this.ended = true;
    if (all) this.heard(Infinity);
    this.element.classList.toggle("cut", cut);
    for (const { element } of this.#spans) {
      element.classList.remove("now");
      if (all) element.classList.add("heard");
    }
    if (fate) {
      const note = document.createElement("p");
      note.className = "fate";
      note.textContent = fate;
      this.element.append(note);
    }
  }
}

export class Stage {
  #element;
  #empty;
  #lines = [];
  #byRef = new Map();

  constructor(element, empty) {
    this.#element = element;
    this.#empty = empty;
  }

  /** A new utterance, still without words. */
  begin(ref, asked = "") {
    this.#empty.hidden = true;
    for (const line of this.#lines) line.element.classList.add("over");
    const line = new Line(asked);
    this.#lines.push(line);
    this.#byRef.set(ref, line);
    this.#element.append(line.element);
    while (this.#lines.length > KEPT) this.#lines.shift().element.remove();
    this.#element.scrollTop = this.#element.scrollHeight;
    return line;
  }

  bind(ref, utterance) {
    const line = this.#byRef.get(ref);
    if (line) line.utterance = utterance;
    this.#byRef.delete(ref);
  }

  of(utterance) {
    return this.#lines.findLast((line) => line.utterance === utterance && !line.ended);
  }

  /** The one that is begun and not ended, if there is one. */
  get open() {
    return this.#lines.filter((line) => !line.ended);
  }

  /** The numbers of a lost connection mean nothing on the next. */
  forget() {
    this.#byRef.clear();
    for (const line of this.#lines) line.utterance = null;
  }

  follow(line) {
    const now = line.element.querySelector(".now");
    if (!now) return;
    const box = this.#element.getBoundingClientRect();
    const word = now.getBoundingClientRect();
    if (word.bottom > box.bottom - 12 || word.top < box.top) {
      this.#element.scrollTop += word.top - box.top - box.height / 2;
    }
  }
}
