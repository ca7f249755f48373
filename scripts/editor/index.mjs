// Template editor: CodeMirror in place of the text areas of a template's files. The form still sends the text areas, so
// the page works without this script. Built by `scripts/bundle`.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";

import { jinja } from "@codemirror/lang-jinja";
import { yaml, yamlFrontmatter } from "@codemirror/lang-yaml";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import {
  EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers,
} from "@codemirror/view";
import { html } from "./markup.mjs";
import { completions } from "./completions.mjs";
import { highlighting, theme } from "./theme.mjs";

// Pause after the last change before the service checks the files.
const CHECK_DELAY_MS = 250;

const form = document.querySelector("form[data-editor]");
if (form) edit(form);

function edit(form) {
  const words = form.dataset;
  const views = new Map(); // name of the file -> its editor
  const known = { vocabulary: { components: {}, filters: [], fields: [] }, variables: {} };
  let checks = 0;
  let timer = 0;
  let frames = 0;

  const languageOf = (name) => {
    if (/\.ya?ml$/.test(name)) return yaml();
    if (/\.txt$/.test(name)) return jinja();
    return yamlFrontmatter({ content: jinja({ base: html() }) });
  };

  const replaceTextArea = (area) => {
    const name = area.dataset.file;
    const label = document.getElementById(area.getAttribute("aria-labelledby"));
    const view = new EditorView({
      doc: area.value,
      parent: area.parentElement,
      extensions: [
        EditorView.cspNonce.of(words.nonce),
        EditorView.contentAttributes.of({
          "aria-label": label ? label.textContent : name, "aria-describedby": "keys", spellcheck: "false", tabindex: "0", translate: "no",
        }),
        lineNumbers(), foldGutter(), lintGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(),
        closeBrackets(), highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(), search({ top: true }),
        EditorState.tabSize.of(2),
        EditorView.lineWrapping,
        EditorState.phrases.of(JSON.parse(words.phrases)),
        languageOf(name), syntaxHighlighting(highlighting), theme,
        autocompletion({ override: [completions(name, known)] }),
        // Tab keeps moving to the next control (WCAG 2.1.2).
        keymap.of([
          { key: "Mod-s", preventDefault: true, run: () => (form.requestSubmit(form.querySelector("[data-review]")), true) },
          ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap,
          ...completionKeymap, ...lintKeymap,
        ]),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          area.value = update.state.doc.toString();
          scheduleCheck();
        }),
      ],
    });
    area.hidden = true;
    views.set(name, view);
    return view;
  };

  const scheduleCheck = () => {
    clearTimeout(timer);
    timer = setTimeout(check, CHECK_DELAY_MS);
  };

  const check = async () => {
    const number = ++checks;
    let answer;
    try {
      const response = await fetch(words.check, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (!response.ok) throw new Error(String(response.status));
      answer = await response.json();
    } catch {
      showSummary(words.away);
      return;
    }
    if (number !== checks) return; // a newer check is in flight
    known.variables = answer.variables;
    for (const [name, view] of views) {
      const doc = view.state.doc;
      const here = answer.findings.filter((one) => one.file === name);
      view.dispatch(setDiagnostics(view.state, here.map((one) => diagnostic(one, doc))));
    }
    showFindings(answer.findings);
    showSummary(answer.summary);
    if (answer.renders) preview();
  };

  const diagnostic = (one, doc) => {
    const line = doc.line(Math.min(Math.max(one.line, 1), doc.lines));
    const from = Math.min(line.from + Math.max(one.column - 1, 0), line.to);
    const rest = /^[\w-]+/.exec(doc.sliceString(from, line.to));
    const to = Math.min(from + (rest ? rest[0].length : 1), line.to);
    const hint = one.hint ? ` (${one.hint})` : "";
    return { from, to: Math.max(to, from), severity: one.severity, message: one.message + hint, source: one.code };
  };

  const showSummary = (sentence) => {
    const place = document.getElementById("summary");
    if (place.textContent !== sentence) place.textContent = sentence;
  };

  const showFindings = (findings) => {
    const items = findings.map((one) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = `#file-${one.file}`;
      link.className = "mono";
      link.textContent = `${one.file}:${one.line}:${one.column}`;
      link.addEventListener("click", (event) => {
        event.preventDefault();
        goTo(one);
      });
      const badge = document.createElement("span");
      badge.className = `badge ${one.severity === "error" ? "bad" : "warn"}`;
      badge.textContent = one.word;
      item.append(link, " ", badge, ` ${one.message}${one.hint ? ` (${one.hint})` : ""}`);
      return item;
    });
    document.getElementById("findings").replaceChildren(...items);
  };

  const goTo = (finding) => {
    const place = document.getElementById(`file-${finding.file}`);
    if (!place) return;
    place.open = true;
    const view = views.get(finding.file) || replaceTextArea(place.querySelector("textarea[data-file]"));
    const { from } = diagnostic(finding, view.state.doc);
    view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    view.focus();
  };

  // Shows the mail by submitting the form into a new frame: it adds no entry to the browser's history, and the previous
  // frame stays visible until the new one has loaded.
  const preview = () => {
    const shown = document.querySelector("iframe[data-draft]");
    const button = form.querySelector("[data-look]");
    const fresh = shown.cloneNode(false);
    const number = ++frames;
    fresh.name = `draft-${number}`;
    fresh.dataset.draft = number;
    fresh.removeAttribute("src");
    fresh.classList.add("waiting");
    shown.after(fresh);
    button.formTarget = fresh.name;
    fresh.addEventListener("load", () => {
      fresh.classList.remove("waiting");
      for (const one of document.querySelectorAll("iframe[data-draft]")) if (Number(one.dataset.draft) < number) one.remove();
    });
    form.requestSubmit(button);
  };

  for (const file of form.querySelectorAll("details.file")) {
    const area = file.querySelector("textarea[data-file]");
    if (file.open) replaceTextArea(area);
    file.addEventListener("toggle", () => {
      if (file.open && !views.has(area.dataset.file)) {
        replaceTextArea(area);
        scheduleCheck();
      }
    });
  }
  for (const choice of form.querySelectorAll("[data-choice]")) choice.addEventListener("change", scheduleCheck);
  form.addEventListener("submit", (event) => {
    if (event.submitter && event.submitter.hasAttribute("data-look")) return;
    window.removeEventListener("beforeunload", warn);
  });

  const before = new Map([...form.querySelectorAll("textarea[data-file]")].map((area) => [area, area.value]));
  const warn = (event) => {
    if ([...before].some(([area, value]) => area.value !== value)) event.preventDefault();
  };
  window.addEventListener("beforeunload", warn);

  form.classList.add("taken");
  fetch(words.vocabulary).then((response) => response.json()).then((vocabulary) => {
    known.vocabulary = vocabulary;
  }, () => {});
  check();
}
