from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarun_ext.codecs import (
    CHUNK,
    CodecError,
    CodecTooLarge,
    pack,
    pack_indices,
    unpack,
    unpack_floats,
    unpack_indices,
)


@given(st.binary(max_size=5000))
def test_round_trip(data: bytes) -> None:
    assert unpack(pack(data), limit=len(data)) == data
    # What datarun 0.4 packs, at zlib's default level.
    assert unpack(base64.b64encode(zlib.compress(data)).decode(), limit=len(data)) == data
    assert zlib.decompress(base64.b64decode(pack(data))) == data


@pytest.mark.parametrize("size", [0, 1, 3 << 18, (3 << 18) + 1, 5 << 20])
def test_pieces_join(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)  # so that it does not shrink
    text = pack(data)
    assert text == base64.b64encode(zlib.compress(data, 1)).decode()
    assert unpack(text, limit=size) == data
    if size:
        with pytest.raises(CodecTooLarge, match="more than"):
            unpack(text, limit=size - 1)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_indices_round_trip(numbers: list[int]) -> None:
    found = unpack_indices(pack_indices(numbers))
    assert found.dtype == np.int64
    assert found.tolist() == numbers


@given(st.lists(st.floats(width=64)))
def test_floats_round_trip(numbers: list[float]) -> None:
    array = np.array(numbers, dtype="<f8")
    assert unpack_floats(pack(array.tobytes())).tobytes() == array.tobytes()
    assert unpack_floats(pack(array.tobytes()), (len(numbers), 1)).shape == (len(numbers), 1)


@given(st.text(max_size=200))
def test_garbage_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(CodecError, match="[a-z]"):
        unpack(text, limit=1000)


@given(st.binary(min_size=1, max_size=2000), st.data())
def test_what_is_cut_or_changed_never_passes_for_whole(data: bytes, draw: st.DataObject) -> None:
    text = pack(data)
    with pytest.raises(CodecError):
        unpack(text[: draw.draw(st.integers(0, len(text) - 1))], limit=10_000)
    packed = bytearray(base64.b64decode(text))
    place = draw.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= draw.draw(st.integers(1, 255))
    try:
        assert unpack(base64.b64encode(packed).decode(), limit=10_000) == data
    except CodecError:
        pass


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cut off"),
        ("@@aGk=@@!!", "base64"),
        ("aGk=\n", "base64"),
        (" eJwDAAAAAAE=", "base64"),
        ("eJwDAAAAAAE", "base64"),
        ("eJwDAAAAAAE=eJwDAAAAAAE=", "base64"),
        ("aGk=", "zlib"),
        (base64.b64encode(zlib.compress(b"a") + b"b").decode(), "after"),
    ],
)
def test_known_garbage(text: str, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        unpack(text, limit=1000)


def test_padding_ends_the_text_also_where_pieces_meet() -> None:
    packed = zlib.compress(np.random.default_rng(0).bytes(2 << 20))
    first = CHUNK // 4 * 3 - 1
    parts = [base64.b64encode(part).decode() for part in (packed[:first], packed[first:])]
    assert len(parts[0]) == CHUNK
    with pytest.raises(CodecError, match="base64"):
        unpack("".join(parts), limit=4 << 20)


def test_a_bomb_is_never_unpacked() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(100 << 20), 9)).decode()
    with pytest.raises(CodecTooLarge):
        unpack(bomb, limit=1000)
    assert len(unpack(bomb, limit=100 << 20)) == 100 << 20


@pytest.mark.parametrize("size", [1, 4, 7, 9])
def test_indices_have_eight_bytes_each(size: int) -> None:
    with pytest.raises(CodecError, match="int64"):
        unpack_indices(pack(bytes(size)))
