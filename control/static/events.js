// Follows the list of events when it is asked to. Without it the page works the same, with Search.
import { ask, element, renewing } from "./renewing.js";

const place = document.getElementById("follow-control");
let shown = place?.dataset.version;

async function renew() {
  const query = new URLSearchParams(location.search);
  query.set("shown", shown);
  const now = await ask(`/events/live?${query}`, location.pathname + location.search);
  const old = document.getElementById("found");
  if (!now.html || old.contains(document.activeElement)) return; // nothing new, or somebody is reading with the keyboard
  old.replaceWith(element(now.html, "found"));
  shown = now.version;
}

if (place) {
  renewing(place, {
    on: { state: "Following", button: "Stop following" },
    off: { state: "", button: "Follow" },
    begins: false,
    renew,
  });
}
