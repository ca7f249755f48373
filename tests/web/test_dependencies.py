"""Providers of what routes need."""

import pytest
from litestar.di import Provide

from service.bootstrap import Services
from service.web.app import create_app


def test_application_does_not_compare_its_providers_when_it_starts(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[object] = []

    def compare(one: Provide, other: object) -> bool:
        compared.append(other)
        return one is other

    monkeypatch.setattr(Provide, "__eq__", compare)
    create_app(services)
    assert len(compared) == 0
