// MJML language for the editor: the grammar of HTML without those of JavaScript and CSS in @codemirror/lang-html, which
// are a third of the bundle (mails have no scripts). `scripts/bundle` substitutes it for that package.
import { foldNodeProp, indentNodeProp, LanguageSupport, LRLanguage } from "@codemirror/language";
import { parser } from "@lezer/html";

const markup = LRLanguage.define({
  name: "mjml",
  parser: parser.configure({
    dialect: "selfClosing",
    props: [
      indentNodeProp.add({
        Element(context) {
          const after = /^(\s*)(<\/)?/.exec(context.textAfter);
          if (context.node.to <= context.pos + after[0].length) return context.continue();
          return context.lineIndent(context.node.from) + (after[2] ? 0 : context.unit);
        },
        "OpenTag CloseTag SelfClosingTag": (context) => context.column(context.node.from) + context.unit,
      }),
      foldNodeProp.add({
        Element(node) {
          const first = node.firstChild;
          const last = node.lastChild;
          if (!first || first.name !== "OpenTag") return null;
          return { from: first.to, to: last.name === "CloseTag" ? last.from : node.to };
        },
      }),
    ],
  }),
  languageData: {
    commentTokens: { block: { open: "<!--", close: "-->" } },
    indentOnInput: /^\s*<\/[\w-]+\W$/,
    wordChars: "-",
  },
});

export function html() {
  return new LanguageSupport(markup);
}
