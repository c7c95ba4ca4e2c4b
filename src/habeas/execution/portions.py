"""Much that is done little by little, so that nobody waits long for the ledger and a kill loses little."""

from collections.abc import Callable

import sqlalchemy as sa

from habeas.execution.context import Context


def repeat(context: Context, portion: Callable[[sa.Connection], int]) -> int:
    """Do portions, each in a transaction of its own, until there is nothing left to do; how much was done."""
    done = 0
    while True:
        with context.ledger.write() as connection:
            count = portion(connection)
        done += count
        if not count:
            return done
