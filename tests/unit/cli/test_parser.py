"""What is misspelt on the command line is refused with what may be meant, by the command that it was given to."""

import pytest

from kiteward.cli.main import main


@pytest.mark.parametrize(
    ("line", "status", "program", "said"),
    [
        ("usres list", 2, "kiteward", "invalid choice: 'usres'; did you mean users?"),
        ("users lst", 2, "kiteward users", "invalid choice: 'lst'; did you mean list?"),
        ("users list --jsno", 2, "kiteward users list", "unknown option --jsno; did you mean --json?"),
        (
            "keys create emma --discription=x",
            2,
            "kiteward keys create",
            "unknown option --discription; did you mean --description?",
        ),
        ("serve --prot 1", 2, "kiteward serve", "unknown option --prot; did you mean --port?"),
        ("serve --xyzzy 1", 2, "kiteward serve", "unknown option --xyzzy"),
        ("users list emma", 2, "kiteward users list", "unrecognized arguments: emma"),
        ("policy plna", 1, "kiteward policy", "invalid choice: 'plna'; did you mean plan?"),
        ("policy plan --fiel p.yaml", 1, "kiteward policy plan", "unknown option --fiel; did you mean --file?"),
        ("audit export --format oscf", 2, "kiteward audit export", "invalid choice: 'oscf'; did you mean ocsf?"),
    ],
)
def test_a_misspelt_word_is_refused_with_what_may_be_meant(
    line: str, status: int, program: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == status
    usage, _, error = capsys.readouterr().err.rpartition("\n" + program)
    assert usage.startswith(f"usage: {program} ")
    assert error.startswith(": error: ")
    assert error.endswith(f"{said}\n")


def test_a_word_that_is_like_nothing_is_refused_with_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["keys", "xyzzy"])
    assert "'create'" in capsys.readouterr().err


def test_the_value_of_an_unknown_option_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["users", "list", "--password=hunter2"])
    with pytest.raises(SystemExit):
        main(["users", "list", "--password", "hunter2"])
    assert "hunter2" not in capsys.readouterr().err
