from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from celery_app.execution import RunFault
from celery_app.programs import csvfile
from datarun_ext.protocol import Reason

GOOD = {
    "plain": b"a,b\n1,x\n2,y\n",
    "no last newline": b"a,b\n1,x\n2,y",
    "windows": b"a,b\r\n1,x\r\n2,y\r\n",
    "old mac": b"a,b\r1,x\r2,y\r",
    "byte order mark": b"\xef\xbb\xbfa,b\n1,x\n",
    "blank lines": b"\na,b\n\n1,x\n   \n2,y\n\n",
    "quoted": b'a,b\n1,"x,\ny"\n2,"say ""hi"""\n',
    "unnamed first column": b'"","b"\n"1",2\n',
    "one column": b"b\n1\n\n2\n",
    "gaps": b"a,b\n,\n1,\n",
    "unicode": "ä,b\nö,1\n".encode(),
}
BAD = {
    "empty": (b"", "is empty"),
    "blank": (b"\n\n  \n", "is empty"),
    "header only": (b"a,b\n", "has a header but no rows"),
    "long row": (b"a,b\n1,2,3\n", "Row 2 of t.csv has 3 fields, its header has 2"),
    "long rows": (b"a,b\n1,2,3\n4,5,6\n", "Row 2 of t.csv has 3 fields, its header has 2"),
    "short row": (b"a,b\n1,2\n3\n", "Row 3 of t.csv has 1 fields, its header has 2"),
    "short after quotes": (b'a,b\n"1\n1",2\n3\n', "Row 4 of t.csv has 1 fields"),
    "long last": (b"a,b\r\n1,2\r\n1,2,3", "Row 3 of t.csv has 3 fields"),
    "twice": (b"b,a,a\n1,2,3\n", 'two columns named "a"'),
    "nul": (b"a,b\n1,2\n3,\x004\n", "NUL byte at position 10, row 3"),
    "latin 1": (b"a,b\n1,2\n3,\xe9t\xe9\n", "byte 0xe9 at position 10, row 3"),
    "cut": (b"a,b\n1,\xc3", "its last character is cut off"),
    "no target": (b"a,c\n1,2\n", 'no column "b" (the target); it has: a, c'),
}


@pytest.fixture(params=[4 << 20, 3], ids=["whole", "chunked"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvfile, "_CHUNK", request.param)


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_gives_what_pandas_gives(tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(GOOD[name])
    frame = csvfile.read_table(str(path), "t.csv", "b")
    pd.testing.assert_frame_equal(frame, pd.read_csv(path))


@pytest.mark.usefixtures("chunk")
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_the_place(tmp_path: Path, name: str) -> None:
    data, detail = BAD[name]
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(RunFault) as caught:
        csvfile.read_table(str(path), "t.csv", "b")
    assert caught.value.reason is Reason.DATA_ERROR
    assert detail in caught.value.detail


def test_a_compressed_file_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    pd.DataFrame({"b": range(2000)}).to_csv(path)
    with pytest.raises(RunFault, match="UTF-8"):
        csvfile.read_table(str(path), "t.csv.gz", "b")
