// Bundles the editor into one file, with the digest of its sources in the first line, and writes the licences beside it.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "../../service/web/pages/static");

// All sources by name; `tests/web/pages/test_editor_bundle.py` computes the same digest.
const sources = readdirSync(here).filter((name) => /\.(mjs|json)$/.test(name)).sort();
const digest = createHash("sha256");
for (const name of sources) digest.update(`${name}\0`).update(readFileSync(join(here, name))).update("\0");

const made = await build({
  absWorkingDir: here,
  entryPoints: ["index.mjs"],
  alias: { "@codemirror/lang-html": "./markup.mjs" },
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  write: false,
});
const packages = [...new Set(Object.keys(made.metafile.outputs["<stdout>"]?.inputs ?? made.metafile.inputs)
  .map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean))].sort();
const notices = packages.map((name) => {
  const folder = join(here, "node_modules", name);
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  return `${name} ${version}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
});
const head = `/* The editor of rgz-email, made by scripts/bundle of sources ${digest.digest("hex")}. `
  + `It holds CodeMirror 6 and others under the MIT licence: see editor.licences.txt. */\n`;
writeFileSync(join(target, "editor.js"), head + made.outputFiles[0].text);
writeFileSync(join(target, "editor.licences.txt"), notices.join(`\n${"-".repeat(72)}\n\n`));
