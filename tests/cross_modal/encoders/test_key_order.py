import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.encoders import key_order
from cross_modal.encoders.key_order import KeyOrder

# Few byte values, zeros among them, so that keys share long beginnings and differ in trailing zeros only.
KEYS = st.lists(st.lists(st.sampled_from([0, 1, 255]), min_size=16, max_size=16).map(bytes), unique=True, max_size=40)


def array(keys: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 16)


@given(known=KEYS, asked=KEYS, cut=st.integers(0, 40), least=st.integers(0, 40))
def test_finds_what_a_dictionary_finds(known: list[bytes], asked: list[bytes], cut: int, least: int) -> None:
    before, key_order._LEAST_JOIN = key_order._LEAST_JOIN, least
    try:
        order = KeyOrder()
        for start in range(0, len(known), cut or 1):
            order.add(array(known[start : start + (cut or 1)]), start)
    finally:
        key_order._LEAST_JOIN = before
    table = {key: row for row, key in enumerate(known)}
    assert order.find(array(asked + known)).tolist() == [table.get(key, -1) for key in asked + known]


def test_rows_start_where_they_are_said_to_start() -> None:
    order = KeyOrder()
    keys = np.random.default_rng(0).integers(0, 256, (10_000, 16), dtype=np.uint8)
    order.add(keys[:9000], 100)
    order.add(keys[9000:], 9100)
    assert (order.find(keys) == np.arange(100, 10_100)).all()
    assert order.find(keys[:0]).shape == (0,)
