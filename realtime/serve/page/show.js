// What the page says in words and figures.

export const $ = (id) => document.getElementById(id);

export const isAssistant = () => document.querySelector("input[name=mode]:checked").value === "assistant";

export function show(id, value, unit, digits = 0) {
  if (value === undefined || value === null) return;
  const element = $(id);
  const small = document.createElement("small");
  small.textContent = unit;
  element.replaceChildren(value.toFixed(digits), small);
}

export function notice(text) {
  if ($("notice").textContent !== text) $("notice").textContent = text;
}

export function announce(text) {
  $("announcer").textContent = text;
}

export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** The buttons and the box, as they are now. */
export function showComposer(isSpeaking) {
  const isAnswer = isAssistant();
  $("interrupt").disabled = !isSpeaking;
  $("interrupt").classList.toggle("primary", isSpeaking);
  $("speak").classList.toggle("primary", !isSpeaking);
  $("speak").textContent = isAnswer ? "Ask" : isSpeaking ? "Speak next" : "Speak";
  $("text").placeholder = isAnswer ? "Ask the scripted assistant something…" : "Write or paste something to hear…";
  $("text-label").textContent = isAnswer ? "Question for the assistant" : "Text to be spoken";
}
