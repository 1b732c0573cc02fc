// Follows the list of events when it is asked to. Without it the page works the same, with Search.
"use strict";
(() => {
  const RENEW_MS = 2000;
  const place = document.getElementById("follow-control");
  if (!place) return;

  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  const state = document.createElement("span");
  state.className = "live-state";
  state.setAttribute("role", "status");
  place.append(state, button);

  let following = false;
  let shown = place.dataset.version;
  let timer = 0;

  function show(problem) {
    const text = following ? problem || "Following" : "";
    if (state.textContent !== text) state.textContent = text;
    state.hidden = !following;
    state.dataset.state = problem ? "problem" : "live";
    button.textContent = following ? "Stop following" : "Follow";
  }

  async function renew() {
    const query = new URLSearchParams(location.search);
    query.set("shown", shown);
    const response = await fetch(`/events/live?${query}`, { credentials: "same-origin", cache: "no-store" });
    if (response.status === 401) {
      location.reload(); // the session has ended: the server shows the logon page and says why
      throw new Error("logged off");
    }
    if (!response.ok) throw new Error(String(response.status));
    const now = await response.json();
    const old = document.getElementById("found");
    if (!now.html || old.contains(document.activeElement)) return; // nothing new, or somebody is reading with the keyboard
    const next = new DOMParser().parseFromString(now.html, "text/html").getElementById("found");
    old.replaceWith(document.adoptNode(next));
    shown = now.version;
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
    if (!following) return;
    show(problem);
    timer = setTimeout(round, RENEW_MS);
  }

  button.addEventListener("click", () => {
    following = !following;
    clearTimeout(timer);
    show("");
    if (following) round();
  });
  show("");
})();
