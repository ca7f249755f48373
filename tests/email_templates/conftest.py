"""Fixtures of our templates: compiled as the service compiles them, and their examples rendered."""

from collections.abc import Callable

import pytest

from service.config.settings import Settings
from service.models import Rendered
from service.templates.build_tools import render_limits
from service.templates.catalogue import Snapshot
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.mails import Mail
from service.templates.site_values import SiteValues
from tests.support.paths import TEMPLATES
from tests.support.samples import PHONE
from tests.support.template_kit import DirectCompiler


@pytest.fixture(scope="session")
def catalogue() -> Snapshot:
    compiler = DirectCompiler(render_limits(Settings()), SiteValues(values={"phone": PHONE}))
    return DirectoryCatalogue(TEMPLATES, compiler=compiler).load()


@pytest.fixture(scope="session")
def render(catalogue: Snapshot) -> Callable[[Mail], Rendered]:
    """Render one example."""

    def rendered(mail: Mail) -> Rendered:
        template = catalogue.get(mail.key)
        return template.render(template.examples[mail.example], locale=mail.locale)

    return rendered
