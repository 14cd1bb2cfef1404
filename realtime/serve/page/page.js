// The page: keys and buttons.

import { $ } from "./show.js";
import { call, changeDepth, connect, ear, heardS, interrupt, isSpeaking, scope, showDepth, speak, update } from "./talk.js";

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

$("depth").addEventListener("input", changeDepth);

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
globalThis.voicestack = { call, scope, level: () => ear.level(), heardS, buffer: () => ear.bufferS };

update();
showDepth();
