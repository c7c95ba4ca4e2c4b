"""The audit log over HTTP, also after somebody has written into the ledger."""

import pytest
import sqlalchemy as sa
from tests.integration.web.conftest import Caller

from habeas.execution.context import Context
from habeas.store.tables import audits


@pytest.mark.parametrize(("column", "shown"), [("created_at", None), ("action", "never")])
def test_an_entry_that_was_made_nonsense_of_is_listed_all_the_same(
    configured: Caller, context: Context, column: str, shown: str | None
) -> None:
    with context.ledger.write() as connection:
        connection.execute(audits.update().values({column: sa.literal_column("'never'")}))
    answer = configured("GET", "/api/v1/audit")
    assert answer.status_code == 200, answer.text
    assert {entry[column] for entry in answer.json()["items"]} == {shown}
    assert configured("GET", "/api/v1/audit?download_csv=true").status_code == 200
