"""Every mail: template x locale x example, found by file names, so that collecting tests compiles nothing."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import TEMPLATES


@dataclass(frozen=True)
class Mail:
    """One example of one template in one language."""

    key: str
    locale: str
    example: str

    def __str__(self) -> str:
        return f"{self.key}.{self.locale}.{self.example}"


def _locales(folder: Path) -> list[str]:
    others = sorted(
        file.name.removeprefix("template.").removesuffix(".mjml") for file in folder.glob("template.*.mjml")
    )
    return ["fr", *others]


MAILS = [
    Mail(folder.name, locale, example.stem)
    for folder in sorted(TEMPLATES.iterdir())
    if (folder / "template.mjml").is_file()
    for locale in _locales(folder)
    for example in sorted((folder / "examples").glob("*.yaml"))
]
