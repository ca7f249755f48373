"""The scaffold of a new template: a folder with files that pass the check."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from service.errors import Conflict, InvalidRequest, Problem, TemplateInvalid
from service.templates.compiler import TemplateCompiler
from service.templates.source.atomic_write import KEY, KEY_RULE, change_folder, example_file
from service.templates.source.files import Files, read_files

#: Shared parts that a new template includes if all exist.
_THEME, _HEADER, _FOOTER = "_shared/theme.mjml", "_shared/header.mjml", "_shared/footer.mjml"

#: What a new mail says, by language.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "fr": {
        "hello": "Bonjour {{ name }}",
        "preheader": "La ligne qui suit l’objet dans la boîte de réception.",
        "text": "Écrivez ici ce que le lecteur doit savoir.",
        "button": "Ouvrir la page",
    },
    "en": {
        "hello": "Hello {{ name }}",
        "preheader": "The line after the subject in an inbox.",
        "text": "Write here what the reader must know.",
        "button": "Open the page",
    },
}
_BACKGROUND = "#ebeee9"
_LANGUAGE_OF = re.compile(r'<mjml\s[^<>]{0,400}?lang="([a-zA-Z]{2,3})\b')
_BACKGROUND_OF = re.compile(r'<mj-body\s[^<>]{0,400}?background-color="(#[0-9a-fA-F]{3,6})"')

_FRONT_MATTER = """\
---
subject: "[hello]"
description: Say in one sentence who gets this mail, and when.
category: support
stream: transactional
version: 1
active: true
variables:
  name:
    type: string
    minLength: 1
    description: The reader's name.
    example: Zoé d’Almeida
  link:
    type: string
    format: uri
    description: Page that the button opens.
    example: https://example.com/a?b=1&c=2
attachments:
  allowed: false
delivery:
  priority: normal
---
"""

_WITH_SHARED_PARTS = """\
<mjml lang="[lang]">
  <mj-head>
    <mj-title>[hello]</mj-title>
    <mj-preview>[preheader]</mj-preview>
    <mj-include path="../_shared/theme.mjml" />
  </mj-head>
  <mj-body background-color="[background]">
    <mj-include path="../_shared/header.mjml" />
    <mj-wrapper mj-class="card" css-class="card">
      <mj-section css-class="pad">
        <mj-column>
          <mj-text mj-class="title" css-class="title">[hello],</mj-text>
          <mj-text css-class="text">[text]</mj-text>
          <mj-button mj-class="call" css-class="call" href="{{ link }}">[button]</mj-button>
        </mj-column>
      </mj-section>
    </mj-wrapper>
    <mj-include path="../_shared/footer.mjml" />
  </mj-body>
</mjml>
"""

_SELF_CONTAINED = """\
<mjml lang="[lang]">
  <mj-head>
    <mj-title>[hello]</mj-title>
    <mj-preview>[preheader]</mj-preview>
    <mj-attributes>
      <mj-all font-family="Arial, sans-serif" />
      <mj-text font-size="16px" line-height="26px" color="#34433b" />
    </mj-attributes>
  </mj-head>
  <mj-body background-color="[background]">
    <mj-section background-color="#ffffff">
      <mj-column>
        <mj-text font-size="24px" line-height="32px">[hello],</mj-text>
        <mj-text>[text]</mj-text>
        <mj-button background-color="#00613f" color="#ffffff" href="{{ link }}">[button]</mj-button>
      </mj-column>
    </mj-section>
  </mj-body>
</mjml>
"""

_EXAMPLE = {"name": "Zoé d’Almeida", "link": "https://example.com/a?b=1&c=2"}


def scaffold(root: Path, key: str, *, compiler: TemplateCompiler) -> Sequence[Path]:
    """Create the folder `key` with a template and return its files.

    Raises InvalidRequest for an invalid key, Conflict if the folder exists or can't be written.
    """
    if not KEY.fullmatch(key):
        raise InvalidRequest(f"{key!r} can't be a key: {KEY_RULE}.")
    if (root / key).exists():
        raise Conflict(f"There is a folder {key!r} already; choose another key, or edit what is there.")
    files = _passing_files(read_files(root), key, compiler)
    try:
        with change_folder(root, key, files):
            return [root / key / name for name in files]
    except OSError as error:
        raise Conflict(f"The folder {key!r} can't be made: {error.strerror}.") from error


def scaffold_files(there: Files, key: str, *, compiler: TemplateCompiler) -> Mapping[str, str]:
    """The files that `scaffold` would create beside these, path -> text. Raises InvalidRequest for an invalid key."""
    if not KEY.fullmatch(key):
        raise InvalidRequest(f"{key!r} can't be a key: {KEY_RULE}.", [Problem("", "key", KEY_RULE)])
    return {name: data.decode() for name, data in _passing_files(there, key, compiler).items()}


def _passing_files(there: Files, key: str, compiler: TemplateCompiler) -> Mapping[str, bytes]:
    """The files of a new template: with the shared parts if they exist and compile, else self-contained."""
    words = _words(there)
    bodies = [_SELF_CONTAINED]
    if all(part in there for part in (_THEME, _HEADER, _FOOTER)):
        bodies.insert(0, _WITH_SHARED_PARTS)
    for body in bodies:
        source = re.sub(r"\[(\w+)\]", lambda found: words[found[1]], _FRONT_MATTER + body)
        files = {"template.mjml": source.encode(), "examples/default.yaml": example_file(_EXAMPLE)}
        tried = compiler.compile(there.with_changes({f"{key}/{name}": data for name, data in files.items()}), key)
        if not tried.findings:
            return files
    raise TemplateInvalid(tried.findings)


def _words(there: Files) -> Mapping[str, str]:
    """What a new mail says, in the language and on the background of most templates there: French if there are none."""
    languages, backgrounds = Counter[str](), Counter[str]()
    for key in there.template_keys():
        source = there.by_path[f"{key}/template.mjml"].data.decode("utf-8", "replace")
        languages.update(found[1].lower() for found in _LANGUAGE_OF.finditer(source))
        backgrounds.update(found[1] for found in _BACKGROUND_OF.finditer(source))
    language = languages.most_common(1)[0][0] if languages else "fr"
    language = language if language in _WORDS else "en"
    background = backgrounds.most_common(1)[0][0] if backgrounds else _BACKGROUND
    return {**_WORDS[language], "lang": language, "background": background}
