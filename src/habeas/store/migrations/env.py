"""Alembic's entry: migrations run on the connection that `store.opening` hands over."""

from alembic import context

from habeas.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
