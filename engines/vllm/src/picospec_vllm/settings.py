"""Settings of the plugin: environment variables, read once, when the engine starts."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SECRET_BYTES = 16


class SettingsError(Exception):
    """A setting that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """A Unix socket's path, or a loopback address and a port (0: the system's choice)."""

    path: str = ""
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    #: None: no mailbox, and then `why` says why.
    address: Address | None
    secret: str
    why: str
    ngram: bool
    #: Off: every row gets as many drafts as there are. For measurements.
    adapt: bool
    #: On: vLLM's version is not checked.
    any_version: bool


def read(environment: Mapping[str, str], rank: int, read_file: Callable[[str], str]) -> Settings:
    """@raises SettingsError. `rank` is the data-parallel rank: each engine has a mailbox of its own."""
    address, secret, why = None, "", "PICOSPEC_MAILBOX is not set"
    if environment.get("PICOSPEC_MAILBOX"):
        address = parse_address(environment["PICOSPEC_MAILBOX"], rank)
        secret, why = _secret(environment, read_file)
        if why:
            address = None
    return Settings(
        address=address,
        secret=secret,
        why=why,
        ngram=_switch(environment, "PICOSPEC_NGRAM", True),
        adapt=_switch(environment, "PICOSPEC_ADAPT", True),
        any_version=_switch(environment, "PICOSPEC_ANY_VLLM", False),
    )


def _secret(environment: Mapping[str, str], read_file: Callable[[str], str]) -> tuple[str, str]:
    """The secret, and why there is none."""
    secret = environment.get("PICOSPEC_SECRET", "")
    path = environment.get("PICOSPEC_SECRET_FILE", "")
    if path:
        try:
            secret = read_file(path).strip()
        except OSError as error:
            return "", f"PICOSPEC_SECRET_FILE cannot be read ({error.strerror})"
    if not secret:
        return "", "there is no secret: set PICOSPEC_SECRET_FILE or PICOSPEC_SECRET"
    if len(secret.encode()) < SECRET_BYTES:
        return "", f"the secret is shorter than {SECRET_BYTES} bytes: `openssl rand -hex 32` makes one"
    return secret, ""


def _switch(environment: Mapping[str, str], name: str, default: bool) -> bool:
    text = environment.get(name, "")
    if text == "":
        return default
    if text not in ("on", "off"):
        raise SettingsError(f'{name} is "on" or "off", not "{text}"')
    return text == "on"


def parse_address(text: str, rank: int) -> Address:
    """`unix:/path` or `tcp:127.0.0.1:port`. `{rank}` in a path is the rank; a port grows by it."""
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        path = rest.replace("{rank}", str(rank))
        if rank > 0 and "{rank}" not in rest:
            raise SettingsError("PICOSPEC_MAILBOX needs {rank} in its path: each data-parallel engine has its own")
        # sun_path of Linux has 108 bytes, macOS 104, with the zero at the end.
        if len(path.encode()) > 103:
            raise SettingsError(f"PICOSPEC_MAILBOX: a Unix socket's path has at most 103 bytes: {path}")
        return Address(path=path)
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        host = host.strip("[]")
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise SettingsError(
                f'PICOSPEC_MAILBOX: "{host}" is no loopback address; a mailbox is for gateways on this machine'
            )
        if port.isascii() and port.isdigit() and 0 <= int(port) + rank < 65536:
            return Address(host=host, port=int(port) + rank if int(port) > 0 else 0)
    raise SettingsError(f'PICOSPEC_MAILBOX is "unix:/path" or "tcp:127.0.0.1:port", not "{text}"')
