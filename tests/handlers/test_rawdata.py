"""Datasets over HTTP: the rows of compat.md and what 1.0 adds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datarun_ext.services.master import Master
from tests.conftest import Api, NewUser
from tests.handlers.over_http import HttpRunner, split_dataset
from tests.handlers.things import CSV, SPECIFIC, created, dataset, packed, stored

WIRE = ["id", "name", "files_path", "workflow_elements", "target_column"]


async def test_create_then_list_as_datarun_0_4(api: Api) -> None:
    status, made = await api("POST", "runapp/rawdata/", dataset())
    assert status == 201
    assert list(made) == WIRE
    assert made == {
        "id": 1,
        "name": "iris",
        "files_path": made["files_path"],
        "workflow_elements": "classifier",
        "target_column": "kind",
    }
    # One file is kept under the dataset's name, whatever it was called.
    assert [p.name for p in Path(made["files_path"]).iterdir()] == ["iris.csv"]
    assert (Path(made["files_path"]) / "iris.csv").read_bytes() == CSV
    response = await api.fetch("GET", "runapp/rawdata/")
    assert response.code == 200
    assert response.body == json.dumps([made], separators=(",", ":")).encode()
    assert response.headers["Content-Type"].startswith("application/json")


async def test_several_files_need_one_of_python(api: Api, master: Master) -> None:
    await api("GET", "runapp/rawdata/")
    before = await stored(master)
    files = {"a.csv": packed(CSV), "b.csv": packed(CSV)}
    status, answer = await api("POST", "runapp/rawdata/", dataset(files=files))
    assert status == 406
    assert list(answer) == ["error"]
    assert answer["error"].startswith("Submit a specific.py")
    assert answer["error"].endswith("when submitting several files")
    assert await stored(master) == before

    files = {"a.csv": packed(CSV), "mine.py": packed(SPECIFIC)}
    made = await created(api, "runapp/rawdata/", dataset(files=files))
    kept = {path.name: path.read_bytes() for path in Path(made["files_path"]).iterdir()}
    assert kept == {"a.csv": CSV, "specific.py": SPECIFIC}
    _, full = await api("GET", f"runapp/rawdata/{made['id']}/")
    assert full["kind"] == "custom"


async def test_full_view(api: Api, runner: HttpRunner) -> None:
    raw_data_id = await split_dataset(api, runner)
    status, full = await api("GET", f"runapp/rawdata/{raw_data_id}/")
    assert status == 200
    assert set(full) == {
        *WIRE, "kind", "owner", "split_state", "split_error", "n_train", "n_test", "columns",
        "limits", "created", "files", "classes", "counts",
    }  # fmt: skip
    assert full["kind"] == "standard"
    assert full["split_state"] == "DONE"
    assert (full["n_train"], full["n_test"]) == (10, 5)
    assert full["columns"] == ["a", "b", "kind"]
    assert full["classes"] == ["x", "y", "z"]
    made = {file["name"]: file["made_by_split"] for file in full["files"]}
    assert made == {"iris.csv": False, "train.csv": True, "test.csv": True}
    assert all(len(file["sha256"]) == 64 and file["size"] > 0 for file in full["files"])
    assert await api("GET", "runapp/rawdata/", params={"view": "full"}) == (200, [full])


@pytest.mark.parametrize("spelling", ["rawdata", "raw_data"])
async def test_split_answers_with_a_task_at_once(api: Api, spelling: str) -> None:
    await created(api, "runapp/rawdata/", dataset())
    status, answer = await api(
        "POST", f"runapp/{spelling}/split/", {"raw_data_id": "1", "held_out_test": 0.7}
    )
    assert status == 200
    assert list(answer) == ["task_id"]
    status, task = await api("GET", f"runapp/task/{answer['task_id']}/")
    assert status == 200
    assert task == {
        "task_id": answer["task_id"],
        "kind": "split",
        "state": "PENDING",
        "message": "",
        "reason": None,
        "raw_data": 1,
        "databoard_sf_id": None,
        "created": task["created"],
        "ended_at": None,
    }
    files = {"a.csv": packed(CSV), "specific.py": packed(SPECIFIC)}
    await created(api, "runapp/rawdata/", dataset("custom", files=files))
    status, answer = await api("POST", f"runapp/{spelling}/customsplit/", {"raw_data_id": 2})
    assert (status, list(answer)) == (200, ["task_id"])


async def test_split_of_the_wrong_kind_names_the_other(api: Api) -> None:
    await created(api, "runapp/rawdata/", dataset())
    status, answer = await api("POST", "runapp/rawdata/customsplit/", {"raw_data_id": 1})
    assert status == 400
    assert "split/" in answer["raw_data_id"][0]


async def test_preview_and_download(api: Api) -> None:
    await created(api, "runapp/rawdata/", dataset())
    status, shown = await api("GET", "runapp/rawdata/1/preview/", params={"rows": 2})
    assert status == 200
    assert [column["name"] for column in shown["columns"]] == ["a", "b", "kind"]
    assert shown["rows"] == [["0", "0", "x"], ["1", "1", "y"]]
    assert shown["n_rows"] == 15
    assert shown["target"] == {"name": "kind", "counts": {"x": 5, "y": 5, "z": 5}}
    response = await api.fetch("GET", "runapp/rawdata/1/file/iris.csv/")
    assert response.code == 200
    assert response.body == CSV
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert (await api("GET", "runapp/rawdata/1/file/..%2F..%2Fdatarun.sqlite3/"))[0] == 404
    assert (await api("GET", "runapp/rawdata/1/file/other.csv/"))[0] == 404


async def test_file_gone_from_disk_is_no_fault_of_the_server(api: Api) -> None:
    made = await created(api, "runapp/rawdata/", dataset())
    (Path(made["files_path"]) / "iris.csv").unlink()
    for path in ("file/iris.csv/", "preview/"):
        status, answer = await api("GET", f"runapp/rawdata/1/{path}")
        assert status == 404, path
        assert "iris.csv" in answer["detail"]


async def test_delete_takes_everything_along(api: Api, master: Master) -> None:
    await api("GET", "runapp/rawdata/")
    before = await stored(master)
    await created(api, "runapp/rawdata/", dataset())
    response = await api.fetch("DELETE", "runapp/rawdata/1/")
    assert (response.code, response.body) == (204, b"")
    after = await stored(master)
    assert {**after, "event": 0} == {**before, "event": 0}
    assert await api("GET", "runapp/rawdata/1/") == (404, {"detail": "Not found."})
    assert (await api("DELETE", "runapp/rawdata/1/"))[0] == 404
    # A deleted id is never given away again: runners and clients remember it.
    assert (await created(api, "runapp/rawdata/", dataset()))["id"] == 2


async def test_lists_in_parts(api: Api) -> None:
    for number in range(5):
        await created(api, "runapp/rawdata/", dataset(f"d{number}"))
    seen: list[int] = []
    params: dict[str, object] = {"limit": 2}
    while True:
        response = await api.fetch("GET", "runapp/rawdata/", params=params)
        seen += [item["id"] for item in json.loads(response.body)]
        if "X-Next-Cursor" not in response.headers:
            break
        params["cursor"] = response.headers["X-Next-Cursor"]
    assert seen == [1, 2, 3, 4, 5]
    _, newest = await api("GET", "runapp/rawdata/", params={"limit": 2, "order": "-id"})
    assert [item["id"] for item in newest] == [5, 4]
    # Exactly as many as there are: this is the last part.
    response = await api.fetch("GET", "runapp/rawdata/", params={"limit": 5})
    assert "X-Next-Cursor" not in response.headers


async def test_a_file_of_the_server(
    api: Api, master: Master, jp_root_dir: Path, new_user: NewUser, tmp_path: Path
) -> None:
    (jp_root_dir / "in").mkdir()
    (jp_root_dir / "in" / "mine.csv").write_bytes(CSV)
    secret = tmp_path / "secret.csv"
    secret.write_bytes(CSV)
    (jp_root_dir / "link.csv").symlink_to(secret)
    (jp_root_dir / "inner.csv").symlink_to(jp_root_dir / "in" / "mine.csv")
    alice = await new_user("alice")
    before = await stored(master)
    for path in ("../secret.csv", str(secret), "link.csv", "in", "", "a\0b", "x" * 5000, "no.csv"):
        body = dataset(files=..., server_files={"x.csv": path})
        status, answer = await api("POST", "runapp/rawdata/", body)
        assert (status, list(answer)) == (400, ["server_files"]), path
    body = dataset(files=..., server_files={"x.csv": "in/mine.csv"})
    assert (await alice("POST", "runapp/rawdata/", body))[0] == 403
    assert await stored(master) == before
    made = await created(api, "runapp/rawdata/", body)
    assert (Path(made["files_path"]) / "iris.csv").read_bytes() == CSV
    body = dataset("second", files=..., server_files={"x.csv": "inner.csv"})
    await created(api, "runapp/rawdata/", body)
    assert (jp_root_dir / "in" / "mine.csv").read_bytes() == CSV


async def test_dataset_named_like_a_split_file_keeps_its_own(api: Api, runner: HttpRunner) -> None:
    raw_data_id = await split_dataset(api, runner, "train")
    assert (await api.fetch("GET", "runapp/rawdata/1/preview/")).code == 200
    await api("POST", "runapp/rawdata/split/", {"raw_data_id": raw_data_id, "held_out_test": 5})
    job = await runner.take_split()
    (file,) = job.dataset.files
    response = await runner.api.fetch("GET", f"runapp/runner/blob/{file.sha256}/")
    assert response.body == CSV
    assert file.url is not None
    assert Path(file.url.removeprefix("file://")).read_bytes() == CSV
