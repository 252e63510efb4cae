"""The DuckDB engine: files in, files or Arrow tables out, and nothing else touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tagline.definitions.types import DataType
from tagline.engines import Relation, open_engine
from tagline.engines.duckdb import DuckDBEngine
from tagline.errors import TaglineError, WrongUsage
from tagline.settings import Settings


@pytest.fixture
def engine(tmp_path: Path) -> DuckDBEngine:
    return DuckDBEngine("500MB", 2, str(tmp_path / "spilled"))


def test_what_was_written_is_read_back(engine: DuckDBEngine, tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "a.parquet")
    rows = engine.write("SELECT range AS i FROM range(5)", {}, path)
    relation = Relation((path,), {"i": DataType.INTEGER})
    assert rows == 5
    assert engine.fetch("SELECT sum(i)::BIGINT AS s FROM t", {"t": relation}).to_pylist() == [
        {"s": 10}
    ]


def test_a_column_that_files_lack_is_null_and_others_are_hidden(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    path = str(tmp_path / "a.parquet")
    engine.write("SELECT 1 AS i, 2 AS hidden", {}, path)
    relation = Relation((path,), {"i": DataType.NUMBER, "later": DataType.TEXT_LIST})
    assert engine.fetch("SELECT * FROM t", {"t": relation}).to_pylist() == [
        {"i": 1.0, "later": None}
    ]


def test_rows_that_do_not_meet_the_condition_are_not_shown(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    path = str(tmp_path / "a.parquet")
    engine.write("SELECT range AS i, if(range = 2, 'why', NULL) AS r FROM range(4)", {}, path)
    relation = Relation((path,), {"i": DataType.INTEGER}, only="r IS NULL")
    made = engine.fetch("SELECT i FROM t ORDER BY i", {"t": relation}).to_pylist()
    assert [row["i"] for row in made] == [0, 1, 3]


def test_a_relation_without_files_is_empty(engine: DuckDBEngine) -> None:
    relation = Relation((), {"at": DataType.TIMESTAMP})
    made = engine.fetch("SELECT * FROM t", {"t": relation})
    assert (made.num_rows, str(made.schema.field("at").type)) == (0, "timestamp[us, tz=UTC]")


def test_a_relation_named_like_a_keyword_can_be_read(engine: DuckDBEngine) -> None:
    relation = Relation((), {"order": DataType.TEXT})
    assert engine.fetch('SELECT "order" FROM "select"', {"select": relation}).num_rows == 0


def test_the_order_that_the_query_asks_for_is_kept(engine: DuckDBEngine, tmp_path: Path) -> None:
    path = str(tmp_path / "sorted.parquet")
    engine.write("SELECT range AS i FROM range(300000) ORDER BY hash(range)", {}, path)
    import pyarrow.parquet

    found = pyarrow.parquet.read_table(path).column("i").to_pylist()
    again = str(tmp_path / "again.parquet")
    engine.write("SELECT range AS i FROM range(300000) ORDER BY hash(range)", {}, again)
    assert found != sorted(found)
    assert found == pyarrow.parquet.read_table(again).column("i").to_pylist()


def test_a_query_that_fails_leaves_no_file(engine: DuckDBEngine, tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.parquet"
    with pytest.raises(TaglineError, match="refused a query"):
        engine.write("SELECT error('stop') FROM range(3)", {}, str(path))
    assert list(path.parent.iterdir()) == []


def test_files_that_are_no_relation_cannot_be_read(engine: DuckDBEngine, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    with pytest.raises(TaglineError, match="disabled by configuration"):
        engine.fetch(f"SELECT * FROM read_csv('{secret}')", {})


def test_work_beyond_the_memory_limit_spills(tmp_path: Path) -> None:
    small = DuckDBEngine("100MB", 1, str(tmp_path / "spilled"))
    made = small.fetch("SELECT count(*) AS n FROM (SELECT DISTINCT range FROM range(4000000))", {})
    assert made.to_pylist() == [{"n": 4_000_000}]


def test_an_unknown_engine_is_wrong_usage() -> None:
    with pytest.raises(WrongUsage, match="Known: duckdb"):
        open_engine(Settings(engine="abacus"))


def test_connections_of_two_processes_spill_to_folders_of_their_own(engine: DuckDBEngine) -> None:
    folder = Path(engine.temp_directory)
    with engine.open() as one, engine.open() as other:
        named = {
            str(connection.execute("SELECT current_setting('temp_directory')").fetchall()[0][0])
            for connection in (one, other)
        }
        assert len(named) == 2
        assert {Path(name).parent for name in named} == {folder}
        (left := folder / "spill-of-a-killed-process").mkdir()
        (left / "duckdb_temp_storage.tmp").write_bytes(b"x")
    with engine.open():
        assert not left.exists()
    assert list(folder.iterdir()) == []


SORTED_GROUPS = (
    "SELECT key, count(*) AS n, sum(i) AS total FROM ("
    "SELECT i, md5(CAST(i % 600000 AS VARCHAR)) AS key FROM range(900000) AS r(i)"
    ") AS t GROUP BY key ORDER BY key DESC"
)
SMALL = """
import sys
from pathlib import Path
from tagline.engines.duckdb import DuckDBEngine

engine = DuckDBEngine("80MB", 2, sys.argv[1])
engine.write(sys.argv[3], {}, sys.argv[2])
held = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(int(held) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process from /proc")
def test_a_process_within_its_memory_limit_gives_the_result_of_one_without(
    engine: DuckDBEngine, tmp_path: Path
) -> None:
    import pyarrow.parquet

    small, large = str(tmp_path / "small.parquet"), str(tmp_path / "large.parquet")
    command = [sys.executable, "-c", SMALL, engine.temp_directory, small, SORTED_GROUPS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert engine.write(SORTED_GROUPS, {}, large) == 600_000
    assert pyarrow.parquet.read_table(small).equals(pyarrow.parquet.read_table(large))
    assert int(done.stdout) < 80 + 300  # megabytes; the libraries themselves take most of it
