// Measures the template engines of Node inside one process. Each line is a JSON object:
//   {"load": {"template": HANDLEBARS, "mjml": MJML, "values": {...}}} -> {"html": {name: text}, "versions": {name: version}}
//   {"measure": NAME, "seconds": S}                             -> {"us": median microseconds of one rendering, "times": n}
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import Handlebars from "handlebars";
import mjml2html from "mjml";
import { render } from "@react-email/render";
import { Invoice } from "./react_email.mjs";

const require = createRequire(import.meta.url);
const BATCH_US = 2000;
let peers = {};

async function load({ template, mjml, values }) {
  const precompiled = new Function(`return ${Handlebars.precompile(template, { ignoreStandalone: true })}`)();
  const invoice = Handlebars.template(precompiled);
  const source = Handlebars.compile(mjml);
  peers = {
    handlebars: () => invoice(values),
    handlebars_flat: () => flattened(invoice(values)),
    mjml: async () => (await mjml2html(source(values))).html,
    react_email: () => render(Invoice(values)),
  };
  const html = {};
  for (const [name, run] of Object.entries(peers)) html[name] = await run();
  return { html, versions: versions(["handlebars", "mjml", "@react-email/render", "react"]) };
}

// V8 keeps a concatenated string as a tree of pieces until it is read.
function flattened(text) {
  text.charCodeAt(text.length >> 1);
  return text;
}

function versions(names) {
  const found = { node: process.versions.node };
  for (const name of names) found[name] = require("./package.json").dependencies[name];
  return found;
}

const elapsedUs = (start) => Number(process.hrtime.bigint() - start) / 1000;

// Batches of about 2 ms. A promise is awaited; a function that returns a string costs no turn of the event loop.
async function measure(name, seconds) {
  const run = peers[name];
  const waits = run() instanceof Promise;
  const once = async (times) => {
    const start = process.hrtime.bigint();
    if (waits) for (let i = 0; i < times; i++) await run();
    else for (let i = 0; i < times; i++) run();
    return elapsedUs(start) / times;
  };
  const times = Math.max(1, Math.round(BATCH_US / (await once(3))));
  const samples = [];
  const begin = process.hrtime.bigint();
  do samples.push(await once(times));
  while (elapsedUs(begin) < seconds * 1e6);
  samples.sort((a, b) => a - b);
  return { us: samples[samples.length >> 1], times: samples.length * times };
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const answer = request.load ? await load(request.load) : await measure(request.measure, request.seconds);
  process.stdout.write(JSON.stringify(answer) + "\n");
}
