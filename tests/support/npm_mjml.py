"""What npm mjml prints of every attribute: recorded in a file that the tests compare our HTML with.

To record it anew, with Node.js and npm, in an empty folder outside of the repository:

    python -m tests.support.npm_mjml FOLDER
"""

import json
import subprocess
import sys
from pathlib import Path

from service.templates.mjml.components import MJML_VERSION
from tests.support.mjml_attributes import documents, printed
from tests.support.paths import ROOT

RECORDED = ROOT / "tests" / "templates" / "mjml" / "npm_mjml.json"
_COMPILE = """
import mjml2html from "mjml";
import { readFileSync } from "node:fs";
const compiled = {};
for (const [name, source] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  const { html, errors } = await mjml2html(source, { fonts: {}, validationLevel: "soft", keepComments: true });
  if (errors.length) throw new Error(name + ": " + errors.map((one) => one.formattedMessage).join("; "));
  compiled[name] = html;
}
console.log(JSON.stringify(compiled));
"""


def record(folder: Path) -> None:
    """Install npm mjml into `folder`, compile every document with it, and write what they print."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"dependencies": {"mjml": MJML_VERSION}}), encoding="utf-8")
    (folder / "compile.mjs").write_text(_COMPILE, encoding="utf-8")
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True)
    sources = documents()
    compiled = subprocess.run(
        ["node", "compile.mjs"], cwd=folder, input=json.dumps(sources), stdout=subprocess.PIPE, text=True, check=True
    )
    html: dict[str, str] = json.loads(compiled.stdout)
    facts: dict[str, list[str]] = {}
    for name in sources:
        facts |= printed(name, html[name], html["plain"])
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(facts[key], ensure_ascii=False)}" for key in facts)
    RECORDED.write_text(f'{{"version": "{MJML_VERSION}", "printed": {{\n{lines}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
