// Completions: components, their attributes and values, declared variables, filters, fields of the front matter.
import { snippetCompletion } from "@codemirror/autocomplete";

const HTML = ["a", "b", "br", "div", "em", "h1", "h2", "h3", "i", "img", "li", "ol", "p", "span", "strong", "table", "td", "th", "tr", "ul"];
const TAGS = ["if", "elif", "else", "endif", "for", "endfor", "set", "include", "import", "extends", "block", "endblock", "macro", "endmacro"];

export function completions(file, known) {
  if (/\.ya?ml$/.test(file)) return (context) => variables(context, known, /(?:^|\n)\s*([\w]*)$/, (name) => `${name}: `);
  return (context) => {
    const text = context.state.sliceDoc(0, context.pos);
    if (isFrontMatter(text)) return frontMatter(context, known);
    const opened = Math.max(text.lastIndexOf("{{"), text.lastIndexOf("{%"));
    const closed = Math.max(text.lastIndexOf("}}"), text.lastIndexOf("%}"));
    if (opened > closed) return expression(context, text.slice(opened), known);
    return file.endsWith(".txt") ? null : markup(context, text, known);
  };
}

function isFrontMatter(text) {
  return text.startsWith("---\n") && !/\n---[ \t]*\n/.test(text.slice(3));
}

function frontMatter(context, { vocabulary }) {
  const word = context.matchBefore(/^[ \t]*[\w-]*/);
  if (!word || (word.text.trim() === "" && !context.explicit)) return null;
  const options = vocabulary.fields.map((name) => ({ label: name, type: "property", apply: `${name}: ` }));
  return { from: word.from + word.text.search(/[\w-]|$/), options, validFor: /^[\w-]*$/ };
}

function variables(context, { variables: declared }, pattern, apply) {
  const word = context.matchBefore(pattern);
  if (!word || (!/\w/.test(word.text) && !context.explicit)) return null;
  const options = Object.entries(declared).map(([name, about]) => ({ label: name, detail: about.type, info: about.description, type: "variable", apply: apply(name) }));
  return { from: context.pos - (/\w*$/.exec(word.text)[0].length), options, validFor: /^\w*$/ };
}

function expression(context, text, known) {
  const filter = /\|\s*(\w*)$/.exec(text);
  if (filter) {
    const options = known.vocabulary.filters.map((one) => ({ label: one.name, detail: one.about, type: "function" }));
    return { from: context.pos - filter[1].length, options, validFor: /^\w*$/ };
  }
  const path = /([\w.]+)\.(\w*)$/.exec(text);
  if (path) {
    const below = path[1].split(".").reduce((one, name) => one && (one[name] || {}).properties, known.variables) || elements(text, path[1], known, context);
    const options = Object.entries(below || {}).map(([name, about]) => ({ label: name, detail: about.type, info: about.description, type: "property" }));
    return options.length ? { from: context.pos - path[2].length, options, validFor: /^\w*$/ } : null;
  }
  const tag = /^\{%[-+]?\s*(\w*)$/.exec(text);
  if (tag) return { from: context.pos - tag[1].length, options: TAGS.map((label) => ({ label, type: "keyword" })), validFor: /^\w*$/ };
  const word = context.matchBefore(/\w*/);
  if (word.from === word.to && !context.explicit && !/\{\{\s*$/.test(text)) return null;
  const names = Object.entries(known.variables).map(([name, about]) => ({ label: name, detail: about.type, info: about.description, type: "variable" }));
  const loops = [...context.state.sliceDoc(0, context.pos).matchAll(/\{%[-+]?\s*for\s+(\w+)\s+in/g)].map((found) => ({ label: found[1], type: "variable" }));
  return { from: word.from, options: [...names, ...loops], validFor: /^\w*$/ };
}

// Fields of an element: `site.` inside {% for site in sites %}.
function elements(text, name, known, context) {
  const loops = [...context.state.sliceDoc(0, context.pos).matchAll(/\{%[-+]?\s*for\s+(\w+)\s+in\s+(\w+)/g)].reverse();
  const loop = loops.find((found) => found[1] === name);
  const list = loop && known.variables[loop[2]];
  return list && list.items ? list.items : null;
}

function markup(context, text, { vocabulary }) {
  const { components } = vocabulary;
  const closing = /<\/([\w-]*)$/.exec(text);
  const open = openTags(text.slice(0, text.lastIndexOf("<")));
  if (closing) {
    const last = open[open.length - 1];
    return last ? { from: context.pos - closing[1].length, options: [{ label: last, apply: `${last}>`, type: "type" }] } : null;
  }
  const opening = /<([\w-]*)$/.exec(text);
  if (opening) return tags(context, opening[1], open, components);
  const within = /<(mj-[\w-]+|mjml)((?:\s+[\w-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'))?)*)\s+([\w-]*)$/.exec(text);
  if (within && components[within[1]]) {
    const has = new Set([...within[2].matchAll(/([\w-]+)\s*=/g)].map((found) => found[1]));
    const options = Object.entries(components[within[1]].attributes).filter(([name]) => !has.has(name))
      .map(([name, about]) => snippetCompletion(`${name}="\${}"`, { label: name, detail: about.expected, type: "property" }));
    return { from: context.pos - within[3].length, options, validFor: /^[\w-]*$/ };
  }
  const value = /<(mj-[\w-]+|mjml)\b[^<>]*\s([\w-]+)\s*=\s*"([^"]*)$/.exec(text);
  if (value && components[value[1]]) {
    const about = components[value[1]].attributes[value[2]];
    const options = ((about && about.options) || []).filter(Boolean).map((label) => ({ label, type: "enum" }));
    return options.length ? { from: context.pos - value[3].length, options, validFor: /^[\w-]*$/ } : null;
  }
  return null;
}

function tags(context, begun, open, components) {
  const parent = open[open.length - 1];
  const allowed = parent && components[parent] ? components[parent].children : [];
  const names = Object.keys(components);
  const options = names.map((label) => ({
    label, type: "type", boost: allowed.includes(label) ? 10 : allowed.length ? -10 : 0,
  }));
  const isText = parent && (!components[parent] || components[parent].takes_html);
  if (isText) options.push(...HTML.map((label) => ({ label, type: "keyword", boost: 5 })));
  return { from: context.pos - begun.length, options, validFor: /^[\w-]*$/ };
}

function openTags(text) {
  const open = [];
  for (const [, slash, name, rest] of text.replace(/<!--[\s\S]*?-->/g, "").matchAll(/<(\/?)([a-zA-Z][\w-]*)((?:"[^"]*"|'[^']*'|[^"'>])*)>/g)) {
    if (slash) {
      const index = open.lastIndexOf(name);
      if (index >= 0) open.length = index;
    } else if (!rest.endsWith("/") && !/^(br|img|hr|input|meta|link)$/.test(name)) open.push(name);
  }
  return open;
}
