"""The ledger: tables, repositories, migrations, encryption at rest. Knows `domain` only.

The store is not a plug-in: the layers above call its repositories directly, each a plain function
over an open connection; one service function is one transaction.
"""
