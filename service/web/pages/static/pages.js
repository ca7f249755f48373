// Everything works without this file; it only spares waiting and loading.
"use strict";

// <div data-live="/admin/live">: see "How a page is made". A browser reconnects by itself when the service was away.
for (const place of document.querySelectorAll("[data-live]")) {
  const stream = new EventSource(place.dataset.live);
  stream.addEventListener("part", (event) => {
    const part = JSON.parse(event.data);
    const target = document.getElementById(part.id);
    if (target && !target.contains(document.activeElement)) {
      target.innerHTML = part.html;
      htmx.process(target);
    }
  });
  stream.addEventListener("changed", (event) => {
    place.dispatchEvent(new CustomEvent("changed", { detail: event.data, bubbles: true }));
  });
  // An open stream would keep the page out of the browser's cache for going back.
  addEventListener("pagehide", () => stream.close());
}

// A filter that is chosen is used at once; the button is for who has no script, or a keyboard and a mind of their own.
for (const field of document.querySelectorAll("select[data-submit]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}
