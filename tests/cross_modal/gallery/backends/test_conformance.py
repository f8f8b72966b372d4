"""What every backend must do, said once and asked of all three."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from toys.gallery_places import BACKENDS, place_of
from toys.reference_rows import DIM, LABELS, binding, names, rows, vectors

from cross_modal.errors import CrossModalError
from cross_modal.gallery.filter import Condition, Filter
from cross_modal.gallery.gallery import Gallery

Make = Callable[..., Gallery]
METRICS = ["cosine", "euclidean"]


def scores_of(stored: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    """The definition, in double precision."""
    stored, query = stored.astype(float), query.astype(float)
    if metric == "euclidean":
        return np.array([-math.dist(row, query) for row in stored])
    return np.array([row @ query / np.linalg.norm(row) / np.linalg.norm(query) for row in stored])


def best(ids: list[str], scores: np.ndarray, k: int) -> list[str]:
    order = sorted(range(len(ids)), key=lambda place: (-round(float(scores[place]), 5), ids[place]))
    return [ids[place] for place in order[:k]]


def as_rows(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: row["id"])


class TestNames:
    """Ids are anybody's file names."""

    NAMES = ("o'brien", 'say "hi"', """both ' and \"""", "back\\slash", "ends\\", "50%", "日本", "a or b")

    @pytest.mark.parametrize("name", NAMES)
    def test_any_name_is_read_and_deleted_alone(self, make: Make, name: str) -> None:
        gallery = make()
        gallery.upsert(rows([*self.NAMES, "plain"]))
        assert gallery.row([name])["id"].to_pylist() == [name]
        assert gallery.delete([name]) == 1
        assert sorted(gallery.contents()) == sorted({*self.NAMES, "plain"} - {name})


class TestEmpty:
    def test_has_no_rows(self, make: Make) -> None:
        gallery = make()
        assert len(gallery) == 0
        assert gallery.rows().num_rows == 0
        assert gallery.contents() == {}
        assert gallery.matrix().vectors.shape == (0, DIM)

    def test_finds_nothing(self, make: Make) -> None:
        hits = make().search(vectors(2), k=3)
        assert hits.ids.tolist() == [[None] * 3] * 2
        assert np.isneginf(hits.scores).all()
        assert (hits.rows == -1).all()
        assert hits.grouped([], 2).ids.tolist() == [[None] * 2] * 2

    def test_deletes_nothing(self, make: Make) -> None:
        assert make().delete(["r1"]) == 0

    def test_writing_no_rows_is_no_version(self, make: Make) -> None:
        gallery = make()
        before = gallery.version
        gallery.upsert(rows([]))
        assert gallery.version == before


class TestWriting:
    def test_rows_come_back_as_they_were_after_reopening(self, make: Make) -> None:
        table = rows(names(40))
        make().upsert(table)
        gallery = make(how="open")
        assert as_rows(gallery.rows(columns=table.column_names)) == as_rows(table)
        assert len(gallery) == 40
        assert gallery.binding == binding()

    def test_columns_keep_their_types(self, make: Make) -> None:
        table = rows(names(3))
        make().upsert(table)
        assert make(how="open").rows(columns=table.column_names).schema.types == table.schema.types

    def test_a_known_id_is_replaced_and_the_others_stay(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(10)))
        before = gallery.version
        changed = rows(["r3", "new"], seed=5, labels=["changed", "changed"])
        gallery.upsert(changed)
        assert len(gallery) == 11
        assert gallery.rows(Filter.parse("label=changed"))["id"].to_pylist() == ["new", "r3"]
        assert np.array_equal(gallery.matrix().vector("r3"), vectors(2, seed=5)[0])
        assert np.array_equal(gallery.matrix().vector("r4"), vectors(10)[4])
        assert gallery.version > before

    def test_add_refuses_a_known_id_and_writes_nothing(self, make: Make) -> None:
        gallery = make()
        gallery.add(rows(["a", "b"]))
        with pytest.raises(CrossModalError, match="expected new ids, found 'b'"):
            gallery.add(rows(["c", "b"], seed=1))
        assert gallery.rows()["id"].to_pylist() == ["a", "b"]

    def test_delete_by_id_passes_over_the_unknown(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(10)))
        assert gallery.delete(["r3", "nobody", "r3"]) == 1
        assert "r3" not in make(how="open").contents()
        assert len(gallery) == 9

    def test_delete_by_filter(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(30)))
        assert gallery.delete(Filter.parse("split=train")) == 10
        assert set(gallery.rows()["split"].to_pylist()) == {"test", None}

    def test_deleted_rows_are_not_found(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(30)))
        gallery.search(vectors(1), k=1)
        gallery.delete(["r0"])
        assert "r0" not in gallery.search(vectors(1), k=30).ids[0].tolist()

    def test_a_new_column_is_empty_in_the_rows_before(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(["a"], extra={}))
        gallery.upsert(rows(["b"], extra={"colour": ["red"]}))
        gallery.upsert(rows(["c"], extra={}))
        found = make(how="open").rows(columns=["id", "colour"]).to_pylist()
        assert [row["colour"] for row in found] == [None, "red", None]

    def test_whole_numbers_become_fractions_when_one_comes(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(["a"], extra={"price": [2]}))
        gallery.upsert(rows(["b"], extra={"price": [2.5]}))
        gallery.upsert(rows(["c"], extra={"price": [3]}))
        assert gallery.rows(Filter.parse("price>=2.5"))["price"].to_pylist() == [2.5, 3.0]

    def test_a_column_of_another_type_is_refused(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(["a"], extra={"price": [2]}))
        with pytest.raises(CrossModalError, match="expected int64 in column 'price', found string"):
            gallery.upsert(rows(["b"], extra={"price": ["cheap"]}))
        assert len(gallery) == 1

    def test_large_whole_numbers_stay_exact(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(["a", "b"], extra={"stamp": [2**53 + 1, 2**53]}))
        assert gallery.rows(Filter.parse(f"stamp={2**53 + 1}"))["id"].to_pylist() == ["a"]

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda table: pa.concat_tables([table, table]), "expected unique ids, found 'a' 2 times"),
            (lambda table: table.drop_columns(["content"]), "expected a column 'content'"),
            (lambda table: table.drop_columns(["vector"]), "expected a column 'vector'"),
            (lambda table: table.append_column("a.b", pa.array(["x", "y"])), "expected column names of letters"),
        ],
    )
    def test_unsound_rows_are_one_line(self, make: Make, spoil: Callable[[pa.Table], pa.Table], message: str) -> None:
        gallery = make()
        with pytest.raises(CrossModalError, match=message):
            gallery.upsert(spoil(rows(["a", "b"])))
        assert len(gallery) == 0

    def test_not_one_row_is_written_when_one_is_unsound(self, make: Make) -> None:
        gallery = make()
        table = rows(["a", "b"])
        broken = vectors(2)
        broken[1, 2] = np.nan
        column = pa.FixedSizeListArray.from_arrays(pa.array(broken.reshape(-1)), DIM)
        table = table.set_column(table.column_names.index("vector"), "vector", column)
        with pytest.raises(CrossModalError, match="expected finite vectors, found 1 that are not \\('b' is one\\)"):
            gallery.upsert(table)
        assert len(gallery) == 0

    def test_many_rows_in_one_write(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(5000)))
        assert len(gallery) == 5000
        assert gallery.delete(names(4000)) == 4000
        assert gallery.row(["r4999", "r4000"], ["id"])["id"].to_pylist() == ["r4999", "r4000"]


class TestReading:
    def test_rows_come_by_ascending_id(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(25)[::-1]))
        assert gallery.rows()["id"].to_pylist() == sorted(names(25))
        assert gallery.matrix().ids.tolist() == sorted(names(25))
        assert gallery.rows(limit=3)["id"].to_pylist() == sorted(names(25))[:3]

    def test_matrix_and_facts_are_of_the_same_rows(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(25)))
        matrix = gallery.matrix()
        for row, name in enumerate(matrix.ids):
            place = int(name[1:])
            assert np.array_equal(matrix.vectors[row], vectors(25)[place])
            assert matrix.column("label")[row] == LABELS[place % len(LABELS)]

    def test_vectors_cannot_be_changed_by_accident(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(3)))
        with pytest.raises(ValueError, match="read-only"):
            gallery.matrix().vectors[0, 0] = 1

    def test_heavy_columns_only_when_named(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(3)))
        assert not {"vector", "thumbnail"} & set(gallery.rows().column_names)
        assert gallery.rows(columns=["vector"]).column_names == ["vector"]

    def test_thumbnails_in_the_order_asked_for(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(12)))
        assert gallery.thumbnails(["r11", "r0", "gone", "r1"]) == [b"\x89PNG 11", None, None, b"\x89PNG 1"]

    def test_row_of_an_unknown_id_is_one_line(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(3)))
        with pytest.raises(CrossModalError, match="expected an id that it holds, found 'r9'"):
            gallery.row(["r1", "r9"])

    def test_an_unknown_column_is_one_line(self, make: Make) -> None:
        with pytest.raises(CrossModalError, match=r"expected one of the columns id, kind, .*, found 'prize'"):
            make().rows(columns=["prize"])

    def test_another_opener_sees_writes_after_refresh(self, make: Make) -> None:
        writer = make()
        writer.upsert(rows(names(5)))
        reader = make(how="open")
        assert len(reader.matrix()) == 5
        writer.upsert(rows(["new"], seed=3))
        assert reader.refresh()
        assert "new" in reader.matrix().ids.tolist()
        assert not reader.refresh()


class TestSearch:
    @pytest.mark.parametrize("metric", METRICS)
    @pytest.mark.parametrize("k", [1, 7, 60, 200])
    def test_agrees_with_the_definition(self, make: Make, metric: str, k: int) -> None:
        ids, queries = names(60), vectors(4, seed=9, metric=metric)
        gallery = make(metric)
        gallery.upsert(rows(ids, metric=metric))
        hits = gallery.search(queries, k)
        assert hits.exact
        assert hits.recall is None
        assert hits.ids.shape == hits.scores.shape == hits.rows.shape == (4, k)
        for query, found, scores, places in zip(queries, hits.ids, hits.scores, hits.rows, strict=True):
            truth = scores_of(vectors(60, metric=metric), query, metric)
            there = min(k, 60)
            assert found[:there].tolist() == best(ids, truth, k)
            assert np.allclose(scores[:there], np.sort(truth)[::-1][:there], atol=1e-5)
            assert gallery.matrix().ids[places[:there]].tolist() == found[:there].tolist()
            assert found[there:].tolist() == [None] * (k - there)
            assert (places[there:] == -1).all()
            assert np.isneginf(scores[there:]).all()

    @pytest.mark.parametrize("metric", METRICS)
    def test_equal_scores_come_by_ascending_id(self, make: Make, metric: str) -> None:
        ids = [f"tie{place}" for place in (5, 10, 1, 3, 2)]
        table = rows(ids, metric=metric)
        same = np.repeat(vectors(1, metric=metric), 5, axis=0)
        column = pa.FixedSizeListArray.from_arrays(pa.array(same.reshape(-1)), DIM)
        gallery = make(metric)
        gallery.upsert(table.set_column(table.column_names.index("vector"), "vector", column))
        for k in (1, 3, 5):
            assert gallery.search(same[0], k).ids[0].tolist() == sorted(ids)[:k]

    def test_a_batch_finds_what_single_queries_find(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(50)))
        queries = vectors(7, seed=4)
        batch = gallery.search(queries, 5)
        singles = [gallery.search(query, 5) for query in queries]
        assert batch.ids.tolist() == [single.ids[0].tolist() for single in singles]

    def test_cosine_takes_no_notice_of_length(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(20)))
        query = vectors(1, seed=2)
        assert np.allclose(gallery.search(query, 3).scores, gallery.search(17 * query, 3).scores, atol=1e-6)

    def test_the_best_of_each_class(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(60)))
        query = vectors(1, seed=3)
        hits = gallery.search(query, k=60)
        grouped = hits.grouped(gallery.matrix().column("label"), k=4)
        labels: dict[str, str] = {}
        for name in hits.ids[0]:
            label = LABELS[int(name[1:]) % len(LABELS)]
            if label is not None:
                labels.setdefault(label, name)
        assert grouped.ids[0].tolist() == list(labels.values())[:4]
        assert (np.diff(grouped.scores[0]) <= 0).all()

    @pytest.mark.parametrize(
        ("queries", "k", "message"),
        [
            (np.ones((1, DIM + 1)), 3, rf"expected queries \(Q, {DIM}\), found \(1, {DIM + 1}\)"),
            (np.full((1, DIM), np.nan), 3, "expected finite queries"),
            (np.zeros((1, DIM)), 3, "expected queries with a direction"),
            (np.ones((1, DIM)), 0, "expected k of at least 1, found 0"),
        ],
    )
    def test_bad_queries_are_one_line(self, make: Make, queries: np.ndarray, k: int, message: str) -> None:
        with pytest.raises(CrossModalError, match=message):
            make().search(queries, k)

    def test_no_query_at_all(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(3)))
        assert gallery.search(np.zeros((0, DIM)), 2).ids.shape == (0, 2)


class TestBeside:
    def test_attachments_come_back_and_are_replaced(self, make: Make) -> None:
        gallery = make()
        content = np.random.default_rng(0).bytes(200_000)
        assert gallery.attachment("cohort") is None
        gallery.attach("cohort", b"before")
        gallery.attach("cohort", content)
        gallery.attach("empty", b"")
        gallery.attach("other", b"more")
        assert gallery.attachment("cohort") == content
        reopened = make(how="open")
        assert reopened.attachment("cohort") == content
        assert reopened.attachment("empty") == b""

    def test_another_model_is_refused(self, make: Make, place: str) -> None:
        make()
        with pytest.raises(
            CrossModalError, match=r"expected the model that made it \(digest 1a2b1a2b…, runs:/7/model\)"
        ):
            Gallery.create(place, binding(digest="ffff" * 16))

    def test_none_may_be_there_when_a_new_one_is_wanted(self, make: Make) -> None:
        make()
        with pytest.raises(CrossModalError, match="expected none there, found one"):
            make(exist_ok=False)

    def test_parquet_there_and_back(self, make: Make, tmp_path: Path) -> None:
        gallery = make()
        gallery.upsert(rows(names(30)))
        path = gallery.export(tmp_path / "refs.parquet")
        copy = Gallery.from_parquet(path, "memory")
        assert copy.binding == gallery.binding
        assert copy.rows(columns=gallery.columns).equals(gallery.rows(columns=gallery.columns))
        again = Gallery.from_parquet(path, gallery.location)
        assert len(again) == 30
        again.close()

    def test_optimising_loses_nothing(self, make: Make) -> None:
        gallery = make()
        for part in range(4):
            gallery.upsert(rows(names(10, prefix=f"part{part}-"), seed=part))
        before = as_rows(gallery.rows(columns=gallery.columns))
        gallery.optimise()
        assert as_rows(make(how="open").rows(columns=gallery.columns)) == before

    def test_versions_name_the_last(self, make: Make) -> None:
        gallery = make()
        gallery.upsert(rows(names(4)))
        last = gallery.versions()[-1]
        assert (last.version, last.rows) == (gallery.version, 4)


def holds(row: dict[str, Any], condition: Condition) -> bool:
    """A condition in plain Python."""
    value, wanted = row[condition.column], condition.values
    match condition.operator:
        case "=" | "in":
            return value in wanted
        case "!=" | "not in":
            return value not in wanted
        case "contains":
            return value is not None and wanted[0] in value
        case _ if value is None:
            return False
        case "<":
            return value < wanted[0]
        case "<=":
            return value <= wanted[0]
        case ">":
            return value > wanted[0]
        case ">=":
            return value >= wanted[0]
    raise AssertionError(condition.operator)


texts = st.sampled_from(
    [label for label in LABELS if label is not None] + ["nobody", "'", '"', "' OR 'a' = 'a", "%", "\\"]
)
numbers = st.one_of(st.integers(-12, 40), st.sampled_from([0.25, 2.5, -3.75, 1e-7]))
ids = st.sampled_from(names(50))
columns, signs = st.sampled_from, st.sampled_from
BOUNDS = ["=", "!=", "<", "<=", ">", ">="]
conditions = st.one_of(
    st.builds(Condition, columns(["label", "text", "id"]), signs(["=", "!=", "<", ">=", "contains"]), st.tuples(texts)),
    st.builds(Condition, st.just("label"), signs(["in", "not in"]), st.lists(texts, max_size=4).map(tuple)),
    st.builds(Condition, st.just("id"), signs(["in", "not in"]), st.lists(ids, max_size=4).map(tuple)),
    st.builds(Condition, columns(["price", "size"]), signs(BOUNDS), st.tuples(numbers)),
    st.builds(Condition, st.just("price"), signs(["in", "not in"]), st.lists(numbers, max_size=3).map(tuple)),
    st.builds(Condition, st.just("genuine"), signs(["=", "!="]), st.tuples(st.booleans())),
    st.builds(Condition, columns(["label", "split", "price", "genuine", "id"]), signs(["=", "!="]), st.just((None,))),
)
filters = st.lists(conditions, min_size=1, max_size=3).map(lambda chosen: Filter(tuple(chosen)))


def backslash_in_milvus(gallery: Gallery, where: Filter) -> bool:
    """What Milvus cannot look for, and the filter refuses there."""
    looked_for = [each.values[0] for each in where.conditions if each.operator == "contains"]
    return gallery.location.startswith("milvus:") and any("\\" in str(value) for value in looked_for)


class TestFilters:
    @pytest.fixture(scope="class", params=BACKENDS)
    def filled(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
        """Sixty rows, written once: filters do not change them."""
        location = place_of(request.param, tmp_path_factory.mktemp(request.param))
        with Gallery.create(location, binding()) as gallery:
            gallery.upsert(rows(names(60)))
            yield gallery

    @settings(max_examples=120, deadline=None)
    @given(where=filters)
    def test_keep_what_plain_python_keeps(self, filled: Gallery, where: Filter) -> None:
        assume(not backslash_in_milvus(filled, where))
        expected = [
            row["id"] for row in filled.rows().to_pylist() if all(holds(row, each) for each in where.conditions)
        ]
        assert filled.rows(where)["id"].to_pylist() == expected

    @settings(max_examples=60, deadline=None)
    @given(where=filters, k=st.integers(1, 8))
    def test_search_finds_all_that_is_nearest_among_the_kept(self, filled: Gallery, where: Filter, k: int) -> None:
        assume(not backslash_in_milvus(filled, where))
        query = vectors(1, seed=11)[0]
        kept = [row["id"] for row in filled.rows().to_pylist() if all(holds(row, each) for each in where.conditions)]
        stored = vectors(60)[[int(name[1:]) for name in kept]] if kept else np.zeros((0, DIM), np.float32)
        hits = filled.search(query, k, where)
        assert [name for name in hits.ids[0] if name is not None] == best(kept, scores_of(stored, query, "cosine"), k)

    def test_a_backslash_is_looked_for_or_refused(self, filled: Gallery) -> None:
        where = Filter((Condition("text", "contains", ("back\\slash",)),))
        if filled.location.startswith("milvus:"):
            with pytest.raises(CrossModalError, match="without a backslash in Milvus"):
                filled.rows(where)
        else:
            assert len(filled.rows(where)) == 0

    def test_an_unknown_column_names_those_there_are(self, filled: Gallery) -> None:
        for ask in (lambda w: filled.rows(w), lambda w: filled.search(vectors(1), 1, w), lambda w: filled.delete(w)):
            with pytest.raises(CrossModalError, match=r"expected one of the columns id, kind, .*, found 'colour'"):
                ask(Filter.parse("colour=red"))

    def test_many_values(self, filled: Gallery) -> None:
        where = Filter((Condition("label", "in", (*(f"no{place}" for place in range(300)), "greek")),))
        assert len(filled.rows(where)) == 7

    def test_a_quote_in_a_value_takes_nothing_away(self, filled: Gallery) -> None:
        assert filled.delete(Filter.parse("label=x' OR '1'='1")) == 0
        assert filled.delete(Filter.parse('label=x" or id != "')) == 0
        assert len(filled) == 60
