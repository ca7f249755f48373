"""Fixtures of our templates: compiled as the service compiles them, and their examples rendered."""

from collections.abc import Callable

import pytest

from service.config.settings import Settings
from service.models import Rendered
from service.templates.build import render_limits
from service.templates.catalogue import Snapshot
from service.templates.directory_catalogue import DirectoryCatalogue
from tests.support.every_mail import Mail
from tests.support.paths import TEMPLATES
from tests.support.samples import SITE
from tests.support.template_kit import DirectCompiler


@pytest.fixture(scope="session")
def catalogue() -> Snapshot:
    return DirectoryCatalogue(TEMPLATES, compiler=DirectCompiler(render_limits(Settings()), SITE)).load()


@pytest.fixture(scope="session")
def render(catalogue: Snapshot) -> Callable[[Mail], Rendered]:
    """Render one example."""

    def rendered(mail: Mail) -> Rendered:
        template = catalogue.get(mail.key)
        return template.render(template.examples[mail.example], locale=mail.locale)

    return rendered
