"""The controllers of all pages."""

from collections.abc import Sequence

from litestar import Controller

from service.web.pages.actions import ActionPages
from service.web.pages.assets import AssetController
from service.web.pages.deployment_forms import DeploymentForms
from service.web.pages.deployments import DeploymentPages
from service.web.pages.docs import DocsController
from service.web.pages.editor import EditorController
from service.web.pages.gallery import GalleryController
from service.web.pages.mailbox import MailboxPages
from service.web.pages.messages import MessagePages
from service.web.pages.overview import OverviewController
from service.web.pages.preview_link import PreviewLinkController
from service.web.pages.previews import PreviewPages, PreviewTestPages
from service.web.pages.recipients import RecipientPages, SuppressionPages
from service.web.pages.sessions import SessionPages
from service.web.pages.sign_in import PreferencesController, SignInController
from service.web.pages.template_page import TemplatePageController
from service.web.pages.template_test import TemplateTestController
from service.web.pages.template_versions import TemplateVersionsController

#: A new page adds its controller here.
CONTROLLERS: Sequence[type[Controller]] = (
    AssetController,
    SignInController,
    PreferencesController,
    OverviewController,
    MessagePages,
    RecipientPages,
    SuppressionPages,
    GalleryController,
    EditorController,
    TemplatePageController,
    TemplateTestController,
    TemplateVersionsController,
    DeploymentPages,
    DeploymentForms,
    PreviewPages,
    PreviewTestPages,
    PreviewLinkController,
    ActionPages,
    SessionPages,
    MailboxPages,
    DocsController,
)
