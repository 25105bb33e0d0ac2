"""What is computed once is kept."""

from pathlib import Path

import pytest

from services import cache


def test_what_is_made_of_files_is_made_again_only_when_one_changes(tmp_path: Path) -> None:
    source, folder, runs = tmp_path / "source", tmp_path / "computed", iter((b"first", b"second"))
    source.write_text("a")

    def make() -> bytes:
        return cache.made(folder, "network", [source], lambda: next(runs))

    assert [make(), make()] == [b"first"] * 2
    source.write_text("b")
    assert [make(), make()] == [b"second"] * 2
    assert len(list(folder.iterdir())) == 1, "what was made of the old file is thrown away"


def test_a_folder_that_cannot_be_written_costs_time_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, folder = tmp_path / "source", tmp_path / "file" / "computed"
    source.write_text("a")
    (tmp_path / "file").write_text("no folder")
    assert [cache.made(folder, "network", [source], lambda: b"made") for _ in range(2)] == [b"made"] * 2
    assert "cannot be kept" in caplog.text
