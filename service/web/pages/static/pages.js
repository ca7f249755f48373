// Everything works without this file; it only spares waiting and loading.
"use strict";

// <div data-live="/admin/live">: see "How a page is made". A browser reconnects by itself when the service was away.
// Only while somebody looks: a browser has six lines to us for all of its tabs, and an open stream would keep the page
// out of its cache for going back.
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
  const rest = () => {
    if (stream) stream.close();
    stream = null;
  };
  const resume = () => {
    if (document.hidden || stream) return;
    listen();
    changed("");  // what happened meanwhile
  };
  if (!document.hidden) listen();
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : resume()));
  addEventListener("pagehide", rest);
  addEventListener("pageshow", (event) => event.persisted && resume());
}

// A filter that is chosen is used at once; the button is for who has no script, or a keyboard and a mind of their own.
for (const field of document.querySelectorAll("select[data-submit]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
