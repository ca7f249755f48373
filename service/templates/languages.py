"""The languages of a template: the default one of `template.mjml`, and one for each `template.LOCALE.mjml`."""

import re

from service.templates.source.files import Files

DEFAULT_LANGUAGE = "fr"
#: The file of another language.
LOCALE_FILE = re.compile(r"template\.([a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)\.(mjml|txt)")
_LANG = re.compile(r"\blang\s*=\s*[\"']([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)[\"']")


def languages_of(files: Files, key: str, text: str) -> dict[str, str]:
    """The template's languages: language -> path of its file, the default first. `text` is that of template.mjml."""
    lang = next((found for tag in re.finditer(r"<mjml\b[^<>]*", text) if (found := _LANG.search(tag[0]))), None)
    languages = {lang[1] if lang else DEFAULT_LANGUAGE: f"{key}/template.mjml"}
    for path in files.folder(key):
        found = LOCALE_FILE.fullmatch(path.removeprefix(f"{key}/"))
        if found and found[2] == "mjml":
            languages.setdefault(found[1], path)
    return languages
