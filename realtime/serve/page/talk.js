// The conversation: what is said goes out, what is heard lights up.

import { answerTo, written } from "./assistant.js";
import { Call, Refused } from "./call.js";
import { Ear } from "./ear.js";
import { Scope } from "./scope.js";
import { $, announce, isAssistant, notice, sentence, show, showComposer } from "./show.js";
import { Stage } from "./stage.js";

const PIECE_CHARS = 2000;
const AUDIBLE = 0.01; // -40 dBFS

export const call = new Call();
export const ear = new Ear($("audio"));
export const scope = new Scope($("scope"));
const stage = new Stage($("stage"), $("empty"));
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let refs = 0;
let hello = null;
let depthTouched = false;
let writing = null; // AbortController of the assistant
let playing = null; // {utterance, atS, since, leadS} by the last that the server said
let asked = null; // {at, line} until it is audible
let cutAt = -Infinity;
let drawing = 0;
let cuts = []; // what was open at each interruption that was not answered yet

// Speaking

export async function connect() {
  ear.wake();
  call.token = sessionStorage.getItem("voicestack.token") ?? "";
  try {
    await call.open();
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) askForToken();
    else notice(sentence(error.message));
    return false;
  }
}

function askForToken() {
  $("token-form").hidden = false;
  $("token").focus();
  notice(call.token ? "That token is not the right one." : "");
}

export async function speak(text) {
  const pressedAt = performance.now();
  if (!(await connect())) return false;
  notice("");
  const isAnswer = isAssistant();
  const waits = isSpeaking() && !isAnswer;
  if (isAnswer) interrupt();
  const ref = `${++refs}`;
  const line = stage.begin(ref, isAnswer ? text : "");
  asked = waits ? null : { at: pressedAt, line };
  if (isAnswer && hello?.assistant) {
    stage.bind(ref, null);
    line.waitsForReply = true;
    call.send("user", { text });
  } else if (isAnswer) {
    answer(ref, line, text);
  } else {
    say(ref, line, text);
  }
  update();
  return true;
}

/** The first packet of what was asked for was sent; sound in this browser is of it once older sound has run out. */
function waitForSound() {
  const from = performance.now() + (cutAt > performance.now() - 1000 ? 1000 * ear.bufferS : 0);
  const until = performance.now() + 5000;
  const poll = setInterval(() => {
    const now = performance.now();
    if (asked && now > from && ear.level().rms > AUDIBLE) {
      show("ear", now - asked.at, "ms");
      document.dispatchEvent(new CustomEvent("voicestack:audible", { detail: now - asked.at }));
      asked = null;
    }
    if (!asked || now > until) clearInterval(poll);
  }, 4);
}

function say(ref, line, text) {
  line.add(text);
  for (let at = 0; at < text.length; at += PIECE_CHARS) {
    call.send("text", { text: text.slice(at, at + PIECE_CHARS), ...(at === 0 && { ref }) });
  }
  call.send("flush");
}

async function answer(ref, line, question) {
  writing?.abort();
  const { signal } = (writing = new AbortController());
  let first = true;
  for await (const piece of written(answerTo(question), signal)) {
    if (signal.aborted || line.ended) return;
    line.add(piece);
    call.send("text", { text: piece, ...(first && { ref }) });
    first = false;
  }
  if (!signal.aborted) call.send("flush");
}

export function interrupt() {
  if (!isSpeaking()) return;
  writing?.abort();
  // Silent here at once; the server is silent a few packets later.
  ear.muted = true;
  cuts.push(stage.open);
  cutAt = performance.now();
  call.send("interrupt");
  asked = null;
  document.dispatchEvent(new CustomEvent("voicestack:interrupt", { detail: performance.now() }));
}

export const isSpeaking = () => stage.open.length > 0;

export const update = () => showComposer(isSpeaking());

// What the server says

const told = {
  hello(message) {
    hello = message;
    $("voice").textContent = message.voice;
    scope.shape(message.n_vq, message.codebook_size, message.delayed);
    const slider = $("depth");
    slider.max = message.n_vq;
    slider.disabled = !message.adjustable;
    if (!depthTouched || slider.disabled) slider.value = message.depth;
    else call.send("depth", { depth: Number(slider.value) });
    showDepth();
  },
  accepted({ utterance, ref }) {
    stage.bind(ref, utterance);
  },
  reply({ utterance, text }) {
    const line = stage.of(utterance) ?? stage.open.find((each) => each.waitsForReply);
    if (!line) return;
    line.utterance = utterance;
    line.waitsForReply = false;
    line.add(text);
  },
  words({ utterance, words }) {
    stage.of(utterance)?.time(words);
  },
  stacks({ utterance, start_s, layers, depths, codes }) {
    const bytes = Uint8Array.from(atob(codes), (character) => character.charCodeAt(0));
    scope.add(utterance, start_s, layers, depths, new Uint16Array(bytes.buffer));
  },
  "speech.started"({ utterance }) {
    ear.muted = false;
    scope.begin(utterance);
    if (asked && stage.of(utterance) === asked.line) waitForSound();
    announce("Speaking.");
    animate();
  },
  stats(message) {
    playing = {
      utterance: message.utterance,
      atS: message.played_ms / 1000,
      leadS: message.lead_s,
      since: performance.now(),
    };
    show("ttfb", message.ttfb_ms, "ms");
    show("ttfa", message.ttfa_ms, "ms");
    show("lead", message.lead_s, "s", 2);
    $("lead-bar").style.transform = `scaleX(${Math.min(1, message.lead_s)})`;
    if (message.depth) show("played-depth", message.depth, `of ${hello?.n_vq ?? "–"}`);
    if (hello) $("depth-bar").style.transform = `scaleX(${message.depth / hello.n_vq})`;
    $("underruns").textContent = message.underruns;
    $("underruns").dataset.bad = message.underruns > 0;
  },
  "speech.ended"({ utterance, ending, audio_s, error }) {
    const line = stage.of(utterance);
    if (!line || ending === "interrupted") return;
    // The last words are on their way through this browser still.
    setTimeout(() => {
      const isWhole = ending === "finished";
      line.end(isWhole ? `${audio_s.toFixed(1)} s` : sentence(error ?? `ended: ${ending}`), { all: isWhole, cut: !isWhole });
      if (error) notice(sentence(error));
      if (!isSpeaking()) announce("Finished.");
      const what = `${audio_s.toFixed(1)} seconds of speech, heard at depth ${$("played-depth").textContent}`;
      $("scope").setAttribute("aria-label", `Waveform and stacks of codes of ${what}.`);
      update();
    }, 1000 * ear.bufferS);
  },
  interrupted({ utterance, played_ms, words }) {
    const said = words.map(({ text }) => text).join(" ");
    // The server interrupts by itself when its assistant is asked again.
    const cut = cuts.shift() ?? stage.open.filter((line) => line.utterance !== null && line.utterance <= utterance);
    for (const line of cut) {
      const isPlaying = line.utterance === utterance && words.length > 0;
      if (isPlaying) line.heard(played_ms / 1000);
      line.end(isPlaying ? `You cut in after ${(played_ms / 1000).toFixed(1)} s` : "Not spoken", { cut: true });
    }
    playing = null;
    scope.cut();
    scope.draw();
    $("lead-bar").style.transform = "scaleX(0)";
    announce(said ? `Interrupted after ${said.split(" ").slice(-4).join(" ")}.` : "Interrupted.");
    setTimeout(() => (ear.muted = false), 150);
    update();
  },
  error({ message }) {
    notice(sentence(message));
    for (const line of stage.open) if (line.utterance === null) line.end("Not spoken", { cut: true });
    update();
  },
  bye({ message, reason }) {
    if (reason !== "idle") notice(sentence(message));
  },
};

call.addEventListener("stream", ({ detail: stream }) => {
  ear.hear(stream).catch(() => notice("Your browser holds the sound back. Press Speak again."));
});

call.addEventListener("message", ({ detail: message }) => told[message.type]?.(message));

call.addEventListener("lost", () => {
  writing?.abort();
  for (const line of stage.open) line.end("The connection was lost here", { cut: true });
  stage.forget();
  scope.forget();
  cuts = [];
  playing = null;
  update();
});

call.addEventListener("state", ({ detail: { state, text } }) => {
  $("state").dataset.state = state;
  $("state-text").textContent = text;
  if (state === "connected") {
    notice("");
    $("token-form").hidden = true;
    stage.forget();
    scope.forget();
  }
  announce(text);
});

// Following the sound

/** Where the listener is: what the server has sent, less what waits in this browser; null when nothing plays. */
export function heardS() {
  if (!playing) return null;
  const sinceS = (performance.now() - playing.since) / 1000;
  return Math.max(0, playing.atS + Math.min(sinceS, playing.leadS + 0.02) - ear.bufferS);
}

function animate() {
  if (!drawing) drawing = requestAnimationFrame(frame);
}

let drawnAt = 0;
function frame(now) {
  drawing = 0;
  if (playing) {
    const seconds = heardS();
    const line = stage.of(playing.utterance);
    line?.heard(seconds);
    scope.heard(playing.utterance, seconds, ear.level().peak);
    if (!calm.matches || now - drawnAt > 250) {
      scope.draw();
      drawnAt = now;
      if (line) stage.follow(line);
    }
  }
  if (isSpeaking()) animate();
  else scope.draw();
}

setInterval(async () => {
  if (isSpeaking()) ear.buffers(await call.bufferMs());
}, 500);

// How much is heard

/** As many layers as the slider says, from now on. */
export function changeDepth() {
  depthTouched = true;
  showDepth();
  call.send("depth", { depth: Number($("depth").value) });
}

export function showDepth() {
  const slider = $("depth");
  $("depth-out").textContent = slider.disabled ? "–" : slider.value;
  slider.setAttribute("aria-valuetext", `${slider.value} of ${slider.max} layers`);
  scope.depth = slider.disabled ? 0 : Number(slider.value);
  scope.draw();
}
