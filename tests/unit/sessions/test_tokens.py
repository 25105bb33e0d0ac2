import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Settings
from server.sessions.tokens import Forbidden, Tickets, Unknown, signing_secret
from tests.unit.doubles import Wall

ONE, TWO = ("a secret that is for tests and long enough", "another secret that is for tests, too")


def tickets(clock: Wall | None = None, secret: str = ONE, **settings: object) -> Tickets:
    return Tickets(Settings(_env_file=None, secret=secret, **settings), clock or Wall())  # type: ignore[arg-type]


def test_a_ticket_is_known_again_without_being_kept() -> None:
    ticket = tickets().issue()
    tickets().check(ticket.session_id, ticket.token)
    with pytest.raises(Forbidden):
        tickets(secret=TWO).check(ticket.session_id, ticket.token)


def test_no_two_are_alike() -> None:
    desk = tickets()
    assert len({desk.issue().session_id for _ in range(1000)}) == 1000


@given(st.text(max_size=200), st.text(max_size=200))
def test_nothing_else_is_let_in(session_id: str, token: str) -> None:
    desk = tickets()
    ticket = desk.issue()
    for pair in ((session_id, token), (ticket.session_id, token), (session_id, ticket.token)):
        with pytest.raises(Forbidden):
            desk.check(*pair)


def test_an_id_grows_old() -> None:
    clock = Wall()
    desk = tickets(clock, session_ttl_s=100)
    ticket = desk.issue()
    assert ticket.expires_at == pytest.approx(time.time() + 100, abs=5)
    clock.later_s = 90
    desk.check_age(ticket.session_id)
    clock.later_s = 101
    with pytest.raises(Unknown):
        desk.check_age(ticket.session_id)


def test_the_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data")  # type: ignore[call-arg]
    first = signing_secret(settings)
    assert signing_secret(settings) == first
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "data" / "secret").stat().st_mode) == 0o600
    other = Settings(_env_file=None, data_dir=tmp_path / "other")  # type: ignore[call-arg]
    assert signing_secret(other) != first


def test_a_broken_secret_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("short\n")
    with pytest.raises(ValueError, match="secret holds no signing key"):
        signing_secret(Settings(_env_file=None, data_dir=tmp_path))  # type: ignore[call-arg]


def test_of_many_that_begin_on_one_new_folder_all_sign_alike(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path / "data")  # type: ignore[call-arg]
    with ThreadPoolExecutor(32) as pool:
        assert len(set(pool.map(signing_secret, [settings] * 200))) == 1


def test_where_no_secret_can_be_kept_there_is_one_for_this_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(_env_file=None, data_dir=tmp_path / "file" / "data")  # type: ignore[call-arg]
    assert len(signing_secret(settings)) == 32
    assert str(tmp_path / "file") in caplog.text
