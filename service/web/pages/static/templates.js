// A template's page shows itself anew when its file is saved; what somebody is writing into its form stays.
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
