// Renews the Status page every two seconds. Without it the page works the same, with Refresh.
import { ask, element, renewing } from "./renewing.js";

const place = document.getElementById("live-control");
let shown = place?.dataset.version; // of the notices and lanes that the page shows

function put(name, texts) {
  for (const [id, text] of Object.entries(texts)) {
    for (const one of document.querySelectorAll(`[data-${name}="${CSS.escape(id)}"]`)) {
      if (one.textContent !== text) one.textContent = text;
    }
  }
}

// False: somebody is reading there with the keyboard, and it is left as it is.
function draw(html) {
  const old = document.getElementById("live");
  if (old.contains(document.activeElement)) return false;
  const next = element(html, "live");
  next.querySelector("details").open = old.querySelector("details").open;
  const [from, to] = [old, next].map((one) => one.querySelector("details .scroll"));
  const top = from.scrollTop;
  old.replaceWith(next);
  to.scrollTop = top;
  return true;
}

async function renew() {
  const query = new URLSearchParams({ span: place.dataset.span, shown });
  const now = await ask(`/status/live?${query}`, "/status");
  put("figure", { now: now.now });
  put("figure", now.figures);
  put("help", now.help);
  if (now.html && draw(now.html)) shown = now.version;
}

if (place) {
  renewing(place, {
    on: { state: "Live", button: "Pause" },
    off: { state: "Paused", button: "Go on" },
    begins: true,
    renew,
  });
}
