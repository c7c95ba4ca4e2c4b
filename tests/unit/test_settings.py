"""Settings: what wins, what old names mean, what refuses to start."""

from pathlib import Path

import pytest

from habeas.domain.errors import InputError
from habeas.settings import find_old_names, load_settings


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(environment={})
    assert (settings.execution.run_size, settings.execution.task_retry_count) == (500, 3)
    assert settings.execution.temporary_ttl_seconds == 604800


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = write(tmp_path / "habeas.toml", "[execution]\nrun_size = 5\nthreads = 2\n")
    monkeypatch.setenv("HABEAS__EXECUTION__RUN_SIZE", "7")
    settings = load_settings(file)
    assert (settings.execution.run_size, settings.execution.threads) == (7, 2)


def test_habeas_toml_in_the_working_folder_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path / "habeas.toml", "[storage]\ndefault_key = 'mine'\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings().storage.default_key == "mine"


@pytest.mark.parametrize("prefix", ["FIDES", "FIDESOPS"])
def test_old_names_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str) -> None:
    monkeypatch.chdir(tmp_path)
    old = {f"{prefix}__EXECUTION__TASK_RETRY_COUNT": "9", f"{prefix}__REDIS__DEFAULT_TTL_SECONDS": "60"}
    settings = load_settings(environment=old)
    assert (settings.execution.task_retry_count, settings.execution.temporary_ttl_seconds) == (9, 60)


def test_a_named_fides_toml_is_read_and_our_own_file_wins(tmp_path: Path) -> None:
    old = write(tmp_path / "fides.toml", "[execution]\ntask_retry_count = 4\n[redis]\ndefault_ttl_seconds = 5\n")
    own = write(tmp_path / "own.toml", "[execution]\ntask_retry_count = 1\n")
    settings = load_settings(own, environment={"FIDES__CONFIG_PATH": str(old)})
    assert (settings.execution.task_retry_count, settings.execution.temporary_ttl_seconds) == (1, 5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[execution]\nrun_size = 0\n", "execution.run_size"),
        ("[execution]\nrunsize = 1\n", "execution.runsize"),
        ("[execution]\nsubject_identity_verification_required = 5\n", "subject_identity_verification_required"),
        ("[security]\nencryption_keys = 5\n", "security.encryption_keys"),
        ("nonsense", "TOML"),
    ],
)
def test_wrong_settings_are_named_and_refused(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        load_settings(write(tmp_path / "habeas.toml", text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[execution]\nrunsize = 1\n", "execution.runsize: no such setting; did you mean execution.run_size?"),
        ("[executon]\nrun_size = 1\n", "executon: no such setting; did you mean execution?"),
        ("data_dri = 'x'\n", "data_dri: no such setting; did you mean data_dir?"),
        ("[zzzzzz]\nx = 1\n", "zzzzzz: no such setting (see"),
    ],
)
def test_an_unknown_name_in_the_file_is_refused_with_the_nearest(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        load_settings(write(tmp_path / "habeas.toml", text))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("HABEAS__EXECUTION__RUN_SIZES", "execution.run_size"),
        ("HABEAS__EXECUTON__RUN_SIZE", "execution.run_size"),
        ("habeas__storage__default_keys", "storage.default_key"),
        ("HABEAS__DATA_DIR__PATH", "data_dir"),
        ("HABEAS__EXECUTION__RUN_SIZE__X", "execution.run_size"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest(variable: str, meant: str) -> None:
    with pytest.raises(InputError) as refused:
        load_settings(environment={variable: "canary"})
    assert f"{variable}: no such setting; did you mean {meant}?" in str(refused.value)
    assert "canary" not in str(refused.value)


def test_old_names_in_use_are_told_with_the_new_ones(tmp_path: Path) -> None:
    file = write(tmp_path / "fides.toml", "[redis]\ndefault_ttl_seconds = 5\n")
    old = {"FIDESOPS__EXECUTION__TASK_RETRY_COUNT": "9", "FIDES__CONFIG_PATH": str(file), "FIDES__OTHER__THING": "1"}
    assert find_old_names({"HABEAS__EXECUTION__TASK_RETRY_COUNT": "9"}) == {}
    assert find_old_names(old) == {
        "FIDESOPS__EXECUTION__TASK_RETRY_COUNT": "HABEAS__EXECUTION__TASK_RETRY_COUNT",
        "redis.default_ttl_seconds in the file of FIDES__CONFIG_PATH": "HABEAS__EXECUTION__TEMPORARY_TTL_SECONDS",
    }


def test_of_two_old_names_the_younger_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    old = {f"{prefix}__EXECUTION__TASK_RETRY_COUNT": count for prefix, count in (("FIDESOPS", "8"), ("FIDES", "9"))}
    assert load_settings(environment=old).execution.task_retry_count == 9


def test_a_file_that_makes_no_sense_is_refused_without_its_values(tmp_path: Path) -> None:
    scalar = write(tmp_path / "scalar.toml", 'redis = "canary"\n')
    latin = tmp_path / "latin.toml"
    latin.write_bytes('[security]\nroot_password = "canary-\u00e9"\n'.encode("latin-1"))
    for file, reason in ((scalar, "redis in the file of FIDES__CONFIG_PATH is no section"), (latin, "is not UTF-8")):
        with pytest.raises(InputError, match=reason) as refused:
            load_settings(environment={"FIDES__CONFIG_PATH": str(file)})
        assert "canary" not in str(refused.value)
    with pytest.raises(InputError, match="is not UTF-8"):
        load_settings(latin, environment={})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_settings(tmp_path / "none.toml")


def test_a_wrong_secret_is_never_repeated(tmp_path: Path) -> None:
    file = write(tmp_path / "habeas.toml", "[security]\nencryption_keys = ['secret-word']\n")
    with pytest.raises(InputError) as caught:
        load_settings(file)
    assert "secret-word" not in str(caught.value)


# Y18
def test_a_link_that_would_live_longer_than_a_store_lets_it_is_refused(tmp_path: Path) -> None:
    name = "HABEAS__SECURITY__SUBJECT_REQUEST_DOWNLOAD_LINK_TTL_SECONDS"
    file = write(tmp_path / "habeas.toml", "[security]\nsubject_request_download_link_ttl_seconds = 604800\n")
    assert load_settings(file).security.subject_request_download_link_ttl_seconds == 604800
    file = write(tmp_path / "habeas.toml", "[security]\nsubject_request_download_link_ttl_seconds = 604801\n")
    with pytest.raises(InputError, match="subject_request_download_link_ttl_seconds"):
        load_settings(file)
    old = name.replace("HABEAS", "FIDES")
    empty = write(tmp_path / "habeas.toml", "")
    settings = load_settings(empty, environment={old: "60"})
    assert settings.security.subject_request_download_link_ttl_seconds == 60
    assert load_settings(empty, environment={}).security.subject_request_download_link_ttl_seconds == 432000


@pytest.mark.parametrize(
    ("root", "named"),
    [
        ("root_username = 'root'", "set both, or none"),
        ("root_password = 'Correct-horse-1'", "set both, or none"),
        ("root_username = 'root'\nroot_password = 'sesame-word'", "root_password lacks a digit, lacks an upper-case"),
        ("root_username = 'ann@example.com'\nroot_password = 'Correct-horse-1'", "root_username has other characters"),
    ],
)
def test_a_root_user_is_whole_and_has_a_good_password(tmp_path: Path, root: str, named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        load_settings(write(tmp_path / "habeas.toml", f"[security]\n{root}\n"))
    assert "sesame" not in str(caught.value)
    assert load_settings(write(tmp_path / "habeas.toml", ""), environment={}).security.root_username == ""
