"""What is misspelt on the command line is refused with what may be meant, by the command that it was given to."""

import pytest

from kiteward.cli.main import main, whole_parser


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
        ("users list emma", 2, "kiteward users list", "more arguments than this command has"),
        ("users list -- --jsno", 2, "kiteward users list", "more arguments than this command has"),
        ("users list -xy", 2, "kiteward users list", "unknown option -x"),
        ("--json users list", 2, "kiteward", "unknown option --json; options come after COMMAND"),
        ("users list --s x", 2, "kiteward users list", "ambiguous option --s; did you mean one of --state, --server?"),
        ("policy plna", 1, "kiteward policy", "invalid choice: 'plna'; did you mean plan?"),
        ("policy plan --fiel p.yaml", 1, "kiteward policy plan", "unknown option --fiel; did you mean --file?"),
        ("--config m.yaml policy plan", 1, "kiteward", "unknown option --config; options come after COMMAND"),
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


@pytest.mark.parametrize(
    "line",
    [
        "users list --password=hunter2",
        "users list --password hunter2",
        "users reset-password emma hunter2",
        "users reset-password emma -p hunter2",
        "users reset-password emma -phunter2",
        "users reset-password emma --password hunter2",
        "users reset-password emma --pass=hunter2",
        "policy apply -f p.yaml --passwords hunter2",
        "policy apply -f p.yaml --p=hunter2",
        "users list --token hunter2",
        "users list --tok=hunter2",
        "backup create --to b --key hunter2",
        "login http://localhost:1 -u root -p hunter2",
        "--token hunter2 users list",
    ],
)
def test_a_secret_in_a_wrong_place_is_not_repeated(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(line.split())
    error = capsys.readouterr().err
    assert "error: " in error
    assert "hunter2" not in error


def test_an_option_for_a_file_with_a_secret_is_not_taken_for_the_secret(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["users", "create", "emma", "--password", "hunter2"])
    assert capsys.readouterr().err.endswith(
        "error: other users of this machine can read arguments: give --password-file FILE\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["roles", "set-description", "analysts", "--see the wiki"],
        ["roles", "set-description", "analysts", "-- see the wiki"],
        ["roles", "create", "--descr=--x=y", "analysts"],
        ["roles", "create", "--description", "-5", "analysts"],
        ["roles", "create", "--", "--analysts"],
        ["roles", "list", "--wid", "--data", "."],
        ["whoami", "--ca", "pem", "--token-f=-", "--serv", "http://localhost:1"],
    ],
    ids=" ".join,
)
def test_a_value_like_an_option_and_an_abbreviation_are_taken(words: list[str]) -> None:
    whole_parser().parse_args(words)
