from __future__ import annotations

import pytest

from picospec_vllm.settings import Address, Settings, SettingsError, parse_address, read

SECRET = "0123456789abcdef"


def settings(**environment: str) -> Settings:
    def read_file(path: str) -> str:
        if path != "/secret":
            raise FileNotFoundError(2, "No such file or directory")
        return SECRET + "\n"

    return read(environment, 0, read_file)


def test_nothing_set_means_no_mailbox_and_ngrams() -> None:
    found = settings()
    assert (found.address, found.ngram, found.adapt, found.any_version) == (None, True, True, False)


def test_a_secret_may_stand_in_a_file_or_a_variable() -> None:
    address = "unix:/run/picospec.sock"
    for variables in ({"PICOSPEC_SECRET": SECRET}, {"PICOSPEC_SECRET_FILE": "/secret"}):
        found = settings(PICOSPEC_MAILBOX=address, **variables)
        assert (found.address, found.secret) == (Address(path="/run/picospec.sock"), SECRET)


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({}, "there is no secret"),
        ({"PICOSPEC_SECRET": "short"}, "shorter than 16 bytes"),
        ({"PICOSPEC_SECRET_FILE": "/else"}, "cannot be read"),
    ],
)
def test_without_a_secret_there_is_no_mailbox(variables: dict[str, str], why: str) -> None:
    found = settings(PICOSPEC_MAILBOX="unix:/run/picospec.sock", **variables)
    assert found.address is None
    assert why in found.why


@pytest.mark.parametrize(
    ("text", "rank", "address"),
    [
        ("unix:/run/p-{rank}.sock", 3, Address(path="/run/p-3.sock")),
        ("tcp:127.0.0.1:7000", 2, Address(host="127.0.0.1", port=7002)),
        ("tcp:127.0.0.1:0", 2, Address(host="127.0.0.1", port=0)),
        ("tcp:[::1]:7000", 0, Address(host="::1", port=7000)),
    ],
)
def test_each_data_parallel_engine_has_an_address(text: str, rank: int, address: Address) -> None:
    assert parse_address(text, rank) == address


@pytest.mark.parametrize(
    ("text", "rank"),
    [
        ("tcp:0.0.0.0:7000", 0),
        ("tcp:10.0.0.1:7000", 0),
        ("tcp:localhost.example:7000", 0),
        ("tcp:127.0.0.1:70000", 0),
        ("tcp:127.0.0.1:65535", 1),
        ("tcp:127.0.0.1:", 0),
        ("unix:", 0),
        ("unix:/run/p.sock", 1),
        ("unix:/" + "x" * 103, 0),
        ("http://127.0.0.1", 0),
    ],
)
def test_refuses_other_addresses(text: str, rank: int) -> None:
    with pytest.raises(SettingsError, match="PICOSPEC_MAILBOX"):
        parse_address(text, rank)


def test_refuses_a_switch_that_is_neither_on_nor_off() -> None:
    assert not settings(PICOSPEC_NGRAM="off").ngram
    with pytest.raises(SettingsError, match="PICOSPEC_NGRAM"):
        settings(PICOSPEC_NGRAM="no")
