"""Log lines of server processes: time, level, logger, text; ids and counts only."""

import logging

_QUIET = (
    *("httpx", "httpcore", "uvicorn.access", "distributed", "alembic", "sqlalchemy.engine"),
    *("botocore", "aiobotocore", "s3fs", "fsspec"),  # these would say signatures, too
)


def set_up_logs(level: str) -> None:
    """Log to standard error. Libraries that would repeat addresses or parameters are kept to warnings."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s %(message)s", force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
