// Sends a request to the API with the key from the form. The key stays in its field and is sent to this API only.
"use strict";

const key = document.getElementById("key");
document.querySelector("[data-key-form]").hidden = false;
document.querySelector("[data-key-form]").addEventListener("submit", (event) => event.preventDefault());

// Open the operation that a link leads to.
function open() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
}
addEventListener("hashchange", open);
open();

for (const form of document.querySelectorAll("[data-try]")) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = form.querySelector("[data-answer]");
    answer.hidden = false;
    answer.textContent = "…";
    answer.textContent = await run(form).catch((error) => String(error));
  });
}

async function run(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  const headers = key.value ? { Authorization: `Bearer ${key.value}` } : {};
  for (const field of form.querySelectorAll("[data-in]")) {
    if (!field.value) continue;
    if (field.dataset.in === "path") path = path.replace(`{${field.dataset.name}}`, encodeURIComponent(field.value));
    else if (field.dataset.in === "header") headers[field.dataset.name] = field.value;
    else query.set(field.dataset.name, field.value);
  }
  const body = form.querySelector("[data-body]")?.value;
  const began = performance.now();
  const response = await fetch(query.size ? `${path}?${query}` : path, { method: form.dataset.method, headers, body });
  const text = await response.text();
  const took = Math.round(performance.now() - began);
  return `HTTP ${response.status} (${took} ms)\n\n${pretty(text)}`;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
