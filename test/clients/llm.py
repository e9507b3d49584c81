PACKAGE = "llm"

import json
import os
import subprocess
import sys

CLIENT = {
    "name": "llm",
    "package": PACKAGE,
    "how": "`extra-openai-models.yaml`: `- {model_id: pico, model_name: any, api_base: http://127.0.0.1:8080/v1, supports_tools: true, supports_schema: true}`",
}


def ask(place, question, *more, base="scriptedUrl"):
    folder = os.path.join(os.getcwd(), "llm-" + base)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "extra-openai-models.yaml"), "w") as file:
        file.write(
            f"- model_id: pico\n  model_name: any\n  api_base: {place[base]}/v1\n"
            "  supports_tools: true\n  supports_schema: true\n  api_key_name: pico\n"
        )
    with open(os.path.join(folder, "keys.json"), "w") as file:
        json.dump({"pico": place["key"]}, file)
    done = subprocess.run(
        [sys.executable, "-m", "llm", "-m", "pico", *more, question],
        env={**os.environ, "LLM_USER_PATH": folder},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def prompt(place):
    assert ask(place, "Hello!", "-o", "max_tokens", "12", base="url")


def whole(place):
    said = ask(place, "@say a whole text", "--no-stream")
    assert said == "a whole text", said


def tools(place):
    said = ask(place, '@call add {"a": 2, "b": 3}', "--functions", "def add(a: int, b: int) -> int:\n  return a + b")
    assert said.endswith("the tool said 5"), said


def schema(place):
    said = ask(place, '@say {"x": 3}', "--schema", "x int")
    assert said == '{"x": 3}', said


FLOWS = {"prompt, streamed": prompt, "prompt, whole": whole, "tools": tools, "schema": schema}
