// Renews the page of a work on the queues while it goes on. Without it there is the button Refresh.
"use strict";
(() => {
  const RENEW_MS = 2000;
  const shown = document.querySelector("[data-running]");
  if (!shown) return;

  async function renew() {
    const response = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector("[data-running]");
    if (!response.ok || !fresh) {
      location.reload(); // it is over, or the session is
      return;
    }
    for (const part of ["status", "progress"]) {
      const [old, now] = [shown, fresh].map((section) => section.querySelector(`[data-part="${part}"]`));
      if (old && now && old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
    }
    setTimeout(tick, RENEW_MS);
  }

  function tick() {
    renew().catch(() => setTimeout(tick, RENEW_MS));
  }
  setTimeout(tick, RENEW_MS);
})();
