// What pages that renew themselves have in common: a button, a state that is said aloud, a question every two seconds.

const RENEW_MS = 2000;

// place: where state and button go. on, off: what they say while it goes on and while it rests, and whether it begins
// by itself. renew: asks and puts in what is new; throws when there is no answer.
export function renewing(place, { on, off, begins, renew }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  const state = document.createElement("span");
  state.className = "live-state";
  state.setAttribute("role", "status");
  place.append(state, button);

  let running = begins;
  let timer = 0;

  function show(problem) {
    const text = running ? problem || on.state : off.state;
    if (state.textContent !== text) state.textContent = text; // said aloud only when it changes
    state.hidden = !text;
    state.dataset.state = !running ? "paused" : problem ? "problem" : "live";
    button.textContent = running ? on.button : off.button;
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
    if (!running) return;
    show(problem);
    timer = setTimeout(round, RENEW_MS);
  }

  button.addEventListener("click", () => {
    running = !running;
    clearTimeout(timer);
    show("");
    if (running) round();
  });
  show("");
  if (running) timer = setTimeout(round, RENEW_MS);
}

// The JSON at an address. page: where to go when the session has ended; the server shows the logon page and says why.
export async function ask(address, page) {
  const response = await fetch(address, { credentials: "same-origin", cache: "no-store" });
  if (response.status === 401) {
    location.assign(page);
    throw new Error("logged off");
  }
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}

// The element of this id in an HTML text, for this document.
export function element(html, id) {
  return document.adoptNode(new DOMParser().parseFromString(html, "text/html").getElementById(id));
}
