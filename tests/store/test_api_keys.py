"""API keys: found by their text until revoked, and stored without their secret."""

from service.models import Scope
from service.store import api_keys
from service.store.database import Database
from tests.support import rows


def test_api_keys_are_found_by_their_text_until_revoked(database: Database) -> None:
    key, text = database.write(lambda tx: api_keys.create(tx, "Facturation é", [Scope.READ, Scope.SEND], rows.NOW))
    other, _ = database.write(lambda tx: api_keys.create(tx, "Other", [Scope.ADMIN], rows.after(1)))

    assert text.startswith(f"rgz_{key.id}_")
    assert api_keys.find(database, text) == key
    assert key.scopes == {Scope.SEND, Scope.READ}
    wrong = [
        "",
        "rgz",
        "rgz_",
        f"rgz_{key.id}",
        f"rgz_{key.id}_",
        text[:-1],
        text + "x",
        text.upper(),
        "\x00",
        "\ud800",
    ]
    wrong += [text.replace("rgz_", "xyz_"), text.replace(key.id, other.id), text + "\x00"]
    assert [api_keys.find(database, one) for one in wrong] == [None] * len(wrong)
    assert api_keys.list_keys(database) == [key, other]

    def revoke() -> bool:
        return database.write(lambda tx: api_keys.revoke(tx, key.id, rows.after(9)))

    assert (revoke(), revoke()) == (True, False)
    assert api_keys.find(database, text) is None
    assert [one.revoked_at for one in api_keys.list_keys(database)] == [rows.after(9), None]


def test_api_key_is_stored_without_its_secret(database: Database) -> None:
    key, text = database.write(lambda tx: api_keys.create(tx, "name", [Scope.SEND], rows.NOW))
    secret = text.removeprefix(f"rgz_{key.id}_")
    assert len(secret) >= 43
    assert secret not in str(database.read("SELECT * FROM api_keys"))
