"""Renders templates by Python's jinja2, set up as Hugging Face's transformers does: JSON on stdin, JSON on stdout."""

import json
import sys
from datetime import datetime

from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime(2024, 7, 26, 12)


class Generation(Extension):
    """A block that marks what the assistant says, for training: it is written as it is."""

    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def refuse(reason):
    raise ValueError(reason)


def to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def render(source, variables):
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = NOW.strftime
    try:
        return {"text": environment.from_string(source).render(**variables)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


print(json.dumps([render(one["source"], one["variables"]) for one in json.load(sys.stdin)]))
