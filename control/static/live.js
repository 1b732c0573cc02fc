// Renews the Status page every two seconds. Without it the page works the same, with Refresh.
"use strict";
(() => {
  const RENEW_MS = 2000;
  const place = document.getElementById("live-control");
  if (!place) return;

  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  const state = document.createElement("span");
  state.className = "live-state";
  state.setAttribute("role", "status");
  place.append(state, button);

  let paused = false;
  let shown = place.dataset.version; // of the notices and lanes that the page shows
  let timer = 0;

  function show(problem) {
    const text = paused ? "Paused" : problem || "Live";
    if (state.textContent !== text) state.textContent = text; // said aloud only when it changes
    state.dataset.state = paused ? "paused" : problem ? "problem" : "live";
    button.textContent = paused ? "Go on" : "Pause";
  }

  function put(name, texts) {
    for (const [id, text] of Object.entries(texts)) {
      for (const element of document.querySelectorAll(`[data-${name}="${CSS.escape(id)}"]`)) {
        if (element.textContent !== text) element.textContent = text;
      }
    }
  }

  // False: somebody is reading there with the keyboard, and it is left as it is.
  function draw(html) {
    const old = document.getElementById("live");
    if (old.contains(document.activeElement)) return false;
    const next = document.adoptNode(new DOMParser().parseFromString(html, "text/html").getElementById("live"));
    next.querySelector("details").open = old.querySelector("details").open;
    const [from, to] = [old, next].map((one) => one.querySelector("details .scroll"));
    const top = from.scrollTop;
    old.replaceWith(next);
    to.scrollTop = top;
    return true;
  }

  async function renew() {
    const query = new URLSearchParams({ span: place.dataset.span, shown });
    const response = await fetch(`/status/live?${query}`, { credentials: "same-origin", cache: "no-store" });
    if (response.status === 401) {
      location.assign("/status"); // the session has ended: the server shows the logon page and says why
      throw new Error("logged off");
    }
    if (!response.ok) throw new Error(String(response.status));
    const now = await response.json();
    put("figure", { now: now.now });
    put("figure", now.figures);
    put("help", now.help);
    if (now.html && draw(now.html)) shown = now.version;
  }

  async function round() {
    let problem = "";
    if (!document.hidden) {
      try {
        await renew();
      } catch {
        problem = "No answer, trying again";
      }
    }
    if (paused) return;
    show(problem);
    timer = setTimeout(round, RENEW_MS);
  }

  button.addEventListener("click", () => {
    paused = !paused;
    clearTimeout(timer);
    show("");
    if (!paused) round();
  });
  show("");
  timer = setTimeout(round, RENEW_MS);
})();
