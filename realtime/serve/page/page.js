// The page: what is typed goes out, what is heard lights up.

import { answerTo, written } from "./assistant.js";
import { Call, Refused } from "./call.js";
import { Scope } from "./scope.js";
import { Stage } from "./stage.js";

const PIECE_CHARS = 2000;
const AUDIBLE = 0.01; // -40 dBFS
const $ = (id) => document.getElementById(id);

const call = new Call();
const stage = new Stage($("stage"), $("empty"));
const scope = new Scope($("scope"));
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let audio = null; // {context, analyser, samples}
let refs = 0;
let hello = null;
let depthTouched = false;
let writing = null; // AbortController of the assistant
let playing = null; // {utterance, atS, since, leadS} by the last that the server said
let bufferS = 0.06;
let asked = null; // {at, line} until it is audible
let cutAt = -Infinity;
let drawing = 0;
let cuts = []; // what was open at each interruption that was not answered yet

// Sound

/** Only in answer to a key or a click: browsers play nothing before. */
function wakeAudio() {
  if (!audio) {
    const context = new AudioContext({ latencyHint: "interactive" });
    const analyser = context.createAnalyser();
    analyser.fftSize = 1024;
    audio = { context, analyser, source: null, samples: new Float32Array(analyser.fftSize) };
  }
  audio.context.resume();
}

call.addEventListener("stream", ({ detail: stream }) => {
  $("audio").srcObject = stream;
  $("audio").muted = false;
  $("audio").play().catch(() => notice("Your browser holds the sound back. Press Speak again."));
  audio?.source?.disconnect();
  if (!audio) return;
  audio.source = audio.context.createMediaStreamSource(stream);
  audio.source.connect(audio.analyser);
});

function level() {
  if (!audio) return { peak: 0, rms: 0 };
  audio.analyser.getFloatTimeDomainData(audio.samples);
  let peak = 0;
  let sum = 0;
  for (const sample of audio.samples.subarray(0, 480)) {
    peak = Math.max(peak, Math.abs(sample));
    sum += sample * sample;
  }
  return { peak, rms: Math.sqrt(sum / 480) };
}

/** The first packet of what was asked for was sent; sound in this browser is of it once older sound has run out. */
function waitForSound() {
  const from = performance.now() + (cutAt > performance.now() - 1000 ? 1000 * bufferS : 0);
  const until = performance.now() + 5000;
  const poll = setInterval(() => {
    const now = performance.now();
    if (asked && now > from && level().rms > AUDIBLE) {
      show("ear", now - asked.at, "ms");
      document.dispatchEvent(new CustomEvent("voicestack:audible", { detail: now - asked.at }));
      asked = null;
    }
    if (!asked || now > until) clearInterval(poll);
  }, 4);
}

// Speaking

async function connect() {
  wakeAudio();
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

async function speak(text) {
  const pressedAt = performance.now();
  if (!(await connect())) return false;
  notice("");
  const isAnswer = document.querySelector("input[name=mode]:checked").value === "assistant";
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

function interrupt() {
  if (!isSpeaking()) return;
  writing?.abort();
  // Silent here at once; the server is silent a few packets later.
  $("audio").muted = true;
  cuts.push(stage.open);
  cutAt = performance.now();
  call.send("interrupt");
  asked = null;
  document.dispatchEvent(new CustomEvent("voicestack:interrupt", { detail: performance.now() }));
}

const isSpeaking = () => stage.open.length > 0;

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
    $("audio").muted = false;
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
    }, 1000 * bufferS);
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
    setTimeout(() => ($("audio").muted = false), 150);
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

/** Where the listener is: what the server has sent, less what waits in this browser. */
function heardS() {
  const sinceS = (performance.now() - playing.since) / 1000;
  return Math.max(0, playing.atS + Math.min(sinceS, playing.leadS + 0.02) - bufferS);
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
    scope.heard(playing.utterance, seconds, level().peak);
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
  if (!isSpeaking()) return;
  const ms = await call.bufferMs();
  if (ms > 0) bufferS += (Math.min(ms, 500) / 1000 + 0.02 - bufferS) / 2;
}, 500);

// Showing

function show(id, value, unit, digits = 0) {
  if (value === undefined || value === null) return;
  const element = $(id);
  const small = document.createElement("small");
  small.textContent = unit;
  element.replaceChildren(value.toFixed(digits), small);
}

function showDepth() {
  const slider = $("depth");
  $("depth-out").textContent = slider.disabled ? "–" : slider.value;
  slider.setAttribute("aria-valuetext", `${slider.value} of ${slider.max} layers`);
  scope.depth = slider.disabled ? 0 : Number(slider.value);
  scope.draw();
}

function update() {
  const speaking = isSpeaking();
  const isAnswer = document.querySelector("input[name=mode]:checked").value === "assistant";
  $("interrupt").disabled = !speaking;
  $("interrupt").classList.toggle("primary", speaking);
  $("speak").classList.toggle("primary", !speaking);
  $("speak").textContent = isAnswer ? "Ask" : speaking ? "Speak next" : "Speak";
  $("text").placeholder = isAnswer ? "Ask the scripted assistant something…" : "Write or paste something to hear…";
  $("text-label").textContent = isAnswer ? "Question for the assistant" : "Text to be spoken";
}

function notice(text) {
  if ($("notice").textContent !== text) $("notice").textContent = text;
}

function announce(text) {
  $("announcer").textContent = text;
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

function askForToken() {
  $("token-form").hidden = false;
  $("token").focus();
  notice(call.token ? "That token is not the right one." : "");
}

// Hands on the page

$("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) {
    $("text").focus();
    return;
  }
  $("text").value = "";
  if (!(await speak(text)) && !$("text").value) $("text").value = text;
});

$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
});

$("interrupt").addEventListener("click", () => {
  interrupt();
  $("text").focus({ preventScroll: true });
});

document.addEventListener("keydown", (event) => {
  const isOnControl = event.target.closest?.("textarea, input, button, a, select");
  if (event.isComposing || !(event.key === "Escape" || (event.key === " " && !isOnControl))) return;
  if (!isSpeaking()) return;
  event.preventDefault();
  interrupt();
});

for (const button of document.querySelectorAll(".try")) {
  button.addEventListener("click", () => {
    document.querySelector(`input[name=mode][value=${button.dataset.mode}]`).checked = true;
    update();
    $("text").focus({ preventScroll: true });
    speak(button.dataset.text);
  });
}

for (const radio of document.querySelectorAll("input[name=mode]")) radio.addEventListener("change", update);

$("depth").addEventListener("input", () => {
  depthTouched = true;
  showDepth();
  call.send("depth", { depth: Number($("depth").value) });
});

$("state").addEventListener("click", () => (["idle", "locked"].includes($("state").dataset.state) ? connect() : call.close()));

$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("voicestack.token", $("token").value.trim());
  $("token").value = "";
  connect().then((ok) => ok && $("text").focus());
});

$("stage").addEventListener("scroll", () => $("stage").classList.toggle("scrolled", $("stage").scrollTop > 2));

addEventListener("pagehide", () => call.close());

// For tests and for the curious.
globalThis.voicestack = { call, scope, level, heardS: () => (playing ? heardS() : null), buffer: () => bufferS };

update();
showDepth();
