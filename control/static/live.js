// Renews the figures of the Status page every two seconds. Without it the page works the same, with Refresh.
"use strict";
(() => {
  const FIGURES_MS = 2000;
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
  let drawn = ""; // the notices and the last hour that the page shows
  let timer = 0;

  function show(problem) {
    const text = paused ? "Paused" : problem || "Live";
    if (state.textContent !== text) state.textContent = text; // said aloud only when it changes
    state.dataset.state = paused ? "paused" : problem ? "problem" : "live";
    button.textContent = paused ? "Go on" : "Pause";
  }

  async function get(address) {
    const response = await fetch(address, { credentials: "same-origin", cache: "no-store" });
    if (response.status === 401) {
      location.assign("/status"); // the session has ended: the server shows the logon page and says why
      throw new Error("logged off");
    }
    if (!response.ok) throw new Error(String(response.status));
    return response;
  }

  function put(name, id, text) {
    for (const element of document.querySelectorAll(`[data-${name}="${CSS.escape(id)}"]`)) {
      if (element.textContent !== text) element.textContent = text;
    }
  }

  // Puts in the new figures. Tells whether the bars or the notices have changed, too.
  async function figures() {
    const status = await (await get("/api/v1/status")).json();
    put("figure", "now", status.now_text);
    for (const group of status.groups) {
      for (const figure of group.figures) {
        put("figure", figure.id, figure.text);
        put("help", figure.id, figure.help);
      }
    }
    const now = JSON.stringify([status.notices, status.last_hour]);
    const changed = now !== drawn;
    drawn = now;
    return changed;
  }

  async function live() {
    const old = document.getElementById("live");
    if (old.contains(document.activeElement)) return; // somebody is reading there with the keyboard
    const text = await (await get("/status/live")).text();
    const next = document.adoptNode(new DOMParser().parseFromString(text, "text/html").getElementById("live"));
    next.querySelector("details").open = old.querySelector("details").open;
    old.replaceWith(next);
  }

  async function round() {
    let problem = "";
    if (!document.hidden) {
      try {
        if (await figures()) await live();
      } catch {
        problem = "No answer, trying again";
      }
    }
    if (paused) return;
    show(problem);
    timer = setTimeout(round, FIGURES_MS);
  }

  button.addEventListener("click", () => {
    paused = !paused;
    clearTimeout(timer);
    show("");
    if (!paused) round();
  });
  show("");
  timer = setTimeout(round, FIGURES_MS);
})();
