// Keeps what was typed into the forms of a template's page when the page reloads after a file was saved.
"use strict";

const typed = new Map();
const inForm = "form.variables, form.trial";

document.addEventListener("input", (event) => {
  if (event.target.name && event.target.closest(inForm)) typed.set(event.target.name, event.target.value);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const [name, value] of typed) {
    const field = document.querySelector(`:is(${inForm}) [name="${CSS.escape(name)}"]`);
    if (field) field.value = value;
  }
});
