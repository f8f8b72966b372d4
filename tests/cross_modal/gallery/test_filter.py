import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.gallery.filter import Condition, Filter

TABLE = pa.table(
    {
        "label": ["greek", "latin", None, "a|b", "x=y"],
        "price": [1.5, 20.0, None, -3.0, 1e9],
        "size": pa.array([1, 2, None, 2**53 + 1, -4], pa.int64()),
        "genuine": [True, False, True, None, False],
    }
)


class TestParse:
    @pytest.mark.parametrize(
        ("written", "condition"),
        [
            ("label=greek", Condition("label", "=", ("greek",))),
            (" label = greek ", Condition("label", "=", ("greek",))),
            ("label=x=y", Condition("label", "=", ("x=y",))),
            ("label=a|b", Condition("label", "in", ("a", "b"))),
            ("label!=a|b", Condition("label", "not in", ("a", "b"))),
            (r"label=a\|b", Condition("label", "=", ("a|b",))),
            ("label=", Condition("label", "=", (None,))),
            ("label!=", Condition("label", "!=", (None,))),
            ("price<=20", Condition("price", "<=", ("20",))),
            ("price>-3", Condition("price", ">", ("-3",))),
            ("text~little", Condition("text", "contains", ("little",))),
            ("shoe size>=41", Condition("shoe size", ">=", ("41",))),
        ],
    )
    def test_what_people_write(self, written: str, condition: Condition) -> None:
        assert Filter.parse(written) == Filter((condition,))

    @pytest.mark.parametrize("written", ["", "label", "=greek", "price<", "price<1|2", "text~"])
    def test_what_is_no_condition(self, written: str) -> None:
        with pytest.raises(CrossModalError, match="expected COLUMN=VALUE") as caught:
            Filter.parse([written])
        assert repr(written) in str(caught.value)

    @given(
        st.lists(
            st.text("ab|=\\~<' ", max_size=5).map(str.strip).filter(lambda v: v and not v.endswith("\\")),
            min_size=1,
            max_size=3,
        )
    )
    def test_what_is_shown_can_be_read_again(self, values: list[str]) -> None:
        values = [value for value in values if "\\|" not in value] or ["a"]
        where = (
            Filter((Condition("label", "in", tuple(values)),))
            if len(values) > 1
            else Filter((Condition("label", "=", (values[0],)),))
        )
        assert Filter.parse(str(where)) == where

    def test_conditions_join(self) -> None:
        both = Filter.parse("label=greek") & Filter.parse("price<20")
        assert both == Filter.parse(["label=greek", "price<20"])
        assert both.columns == ["label", "price"]
        assert not Filter()


class TestMask:
    @pytest.mark.parametrize(
        ("written", "kept"),
        [
            ([], [0, 1, 2, 3, 4]),
            (["label=greek"], [0]),
            (["label!=greek"], [1, 2, 3, 4]),
            (["label="], [2]),
            (["label!="], [0, 1, 3, 4]),
            (["label=greek|latin"], [0, 1]),
            (["label!=greek|latin"], [2, 3, 4]),
            (["label~e"], [0]),
            (["price<20"], [0, 3]),
            (["price<=20", "price>0"], [0, 1]),
            (["size<1.5"], [0, 4]),
            (["size>=1.5"], [1, 3]),
            (["size=1.5"], []),
            (["size!=1.5"], [0, 1, 2, 3, 4]),
            (["size=9007199254740993"], [3]),
            (["size=9007199254740992"], []),
            (["size<1e30"], [0, 1, 3, 4]),
            (["size>1e30"], []),
            (["size=2.0"], [1]),
            (["genuine=true"], [0, 2]),
            (["genuine!=yes"], [1, 3, 4]),
        ],
    )
    def test_keeps(self, written: list[str], kept: list[int]) -> None:
        assert Filter.parse(written).mask(TABLE).nonzero()[0].tolist() == kept

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            ("colour=red", "expected one of the columns label, price, size, genuine, found 'colour'"),
            ("price=cheap", "expected a number for price, found 'cheap'"),
            ("price=nan", "expected a number for price, found 'nan'"),
            ("genuine=maybe", "expected true or false for genuine, found 'maybe'"),
            ("genuine>0", "expected = or != for genuine"),
            ("price~2", "expected a column of strings for price~, found double"),
        ],
    )
    def test_what_does_not_fit_is_one_line(self, written: str, message: str) -> None:
        with pytest.raises(CrossModalError, match=message):
            Filter.parse(written).mask(TABLE)

    def test_vectors_are_no_column_to_filter_by(self) -> None:
        with pytest.raises(CrossModalError, match="expected one of the columns label"):
            Filter.parse("vector=1").mask(TABLE.append_column("vector", pa.array([1] * 5)))


class TestQuoting:
    def test_of_sql(self) -> None:
        assert Filter.parse("label=x' OR '1'='1").to_sql(TABLE.schema) == "(`label` = 'x'' OR ''1''=''1')"

    def test_of_milvus(self) -> None:
        written = Filter.parse('label=x" or id != "').to_milvus(TABLE.schema)
        assert written == '($meta["label"] == "x\\" or id != \\"")'

    def test_operators_that_nobody_knows(self) -> None:
        with pytest.raises(CrossModalError, match="found 'drop'"):
            Condition("label", "drop", ("x",))  # type: ignore[arg-type]
