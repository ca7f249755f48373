// The editor's theme: colours and fonts by the CSS variables of the pages, which have a light and a dark scheme.
import { HighlightStyle } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

export const theme = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--card)", border: "1px solid var(--control)", borderRadius: "6px", fontSize: ".875rem" },
  "&.cm-focused": { outline: "3px solid var(--link)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "ui-monospace, 'Liberation Mono', Menlo, Consolas, monospace", lineHeight: "1.5", maxHeight: "70vh", overflow: "auto" },
  // The border shows the focus; with forced colours this outline does.
  ".cm-content": { caretColor: "var(--text)", outline: "1px solid transparent" },
  ".cm-cursor, .cm-dropCursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--selection)" },
  ".cm-gutters": { backgroundColor: "var(--sunk)", color: "var(--soft)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--plain-ground) 45%, transparent)" },
  ".cm-tooltip, .cm-panels": { backgroundColor: "var(--card)", color: "var(--text)", border: "1px solid var(--control)" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "inherit", opacity: ".85" },
  ".cm-panels input, .cm-panels button": { minHeight: "0", fontSize: ".875rem" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--card)", color: "var(--text)", border: "1px solid var(--control)" },
  ".cm-textfield": { backgroundColor: "var(--card)", color: "var(--text)", border: "1px solid var(--control)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--plain-ground)", color: "var(--text)", border: "1px solid var(--line)" },
  ".cm-matchingBracket": { backgroundColor: "var(--good-ground) !important", color: "inherit" },
  ".cm-searchMatch": { backgroundColor: "var(--warn-ground)" },
});

export const highlighting = HighlightStyle.define([
  { tag: [tags.tagName, tags.angleBracket], color: "var(--code-tag)" },
  { tag: [tags.attributeName, tags.propertyName, tags.definition(tags.propertyName)], color: "var(--code-name)" },
  { tag: [tags.attributeValue, tags.string, tags.special(tags.string)], color: "var(--code-text)" },
  { tag: [tags.keyword, tags.controlKeyword, tags.operatorKeyword, tags.bool, tags.null], color: "var(--code-word)", fontWeight: "600" },
  { tag: [tags.number, tags.atom], color: "var(--code-number)" },
  { tag: [tags.variableName, tags.function(tags.variableName)], color: "var(--code-variable)" },
  { tag: [tags.comment, tags.meta], color: "var(--soft)", fontStyle: "italic" },
  { tag: [tags.brace, tags.separator, tags.punctuation], color: "var(--code-brace)" },
]);
