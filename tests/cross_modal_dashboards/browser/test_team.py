"""The explorer under a name of its own, as a team's browsers reach it."""

from pathlib import Path
from typing import Any

from toys.explorer_browser import TEAM, Watched, serve


def test_it_answers_to_the_name_that_was_allowed_and_asks_nobody_outside_for_its_address(
    browser: Any, real_run: Any, tmp_path: Path
) -> None:
    for local in serve(real_run.uri, tmp_path, "--allow-host", TEAM):
        context = browser.new_context()
        watched = Watched(context.new_page(), local.replace("127.0.0.1", TEAM))
        page = watched.open("matches?text=a+red+square")
        page.wait_for_selector(".grid button")
        context.close()
        assert watched.wrong == []
        assert "external IP" not in (tmp_path / f"explorer-{local.rpartition(':')[2]}.log").read_text()
