"""The revisions that a program knows are found without Alembic, and a newer store is refused in one sentence."""

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from kiteward import __version__
from kiteward.domain.errors import StoreUnavailable
from kiteward.store import migrations
from kiteward.store.revisions import known, require_known


def test_revisions_are_those_of_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", "kiteward.store:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert known() == tuple(sorted(script.revision for script in scripts.walk_revisions()))
    assert known()[-1] == migrations.newest()


@pytest.mark.parametrize("present", [None, "", "0001", "0023"])
def test_store_that_is_not_newer_is_accepted(present: str | None) -> None:
    require_known(present)


def test_newer_store_is_refused_with_both_revisions_and_what_to_do() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        require_known("9999")
    assert str(refused.value) == (
        "the store was written by a newer version of Kiteward: its tables are at revision 9999, and this program, "
        f"Kiteward {__version__}, knows revisions up to {known()[-1]}; run the version that wrote it or a newer one, "
        "or restore a backup that was made before the upgrade"
    )
