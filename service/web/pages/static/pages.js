// Live updates of pages. Every page works without this file, but has to be reloaded.
"use strict";

// <div data-live="/admin/live"> listens to a stream of events: see docs/pages.md. The browser reconnects when the service
// is back. A hidden page closes its stream: a browser opens at most six connections to one host for all of its tabs, and
// an open stream would keep the page out of the back/forward cache.
for (const place of document.querySelectorAll("[data-live]")) {
  let stream = null;
  const changed = (detail) => place.dispatchEvent(new CustomEvent("changed", { detail, bubbles: true }));
  const listen = () => {
    stream = new EventSource(place.dataset.live);
    stream.addEventListener("part", (event) => {
      const part = JSON.parse(event.data);
      const target = document.getElementById(part.id);
      if (target && !target.contains(document.activeElement)) {
        target.innerHTML = part.html;
        htmx.process(target);
      }
    });
    stream.addEventListener("changed", (event) => changed(event.data));
  };
  const pause = () => {
    if (stream) stream.close();
    stream = null;
  };
  const resume = () => {
    if (document.hidden || stream) return;
    listen();
    changed("");  // catch up with what happened meanwhile
  };
  if (!document.hidden) listen();
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
  addEventListener("pagehide", pause);
  addEventListener("pageshow", (event) => event.persisted && resume());
}

// A choice is applied at once; the button remains for browsers without scripts.
for (const field of document.querySelectorAll("select[data-submit]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
