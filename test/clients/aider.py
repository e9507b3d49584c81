PACKAGE = "aider-chat"

import os
import subprocess
import sys
import tempfile

CLIENT = {
    "name": "aider",
    "package": PACKAGE,
    "how": "`aider --openai-api-base http://127.0.0.1:8080/v1 --openai-api-key any --model openai/any`",
}


def question(place):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "aider", "--model", "openai/any", "--message", "@say a short answer"),
                *("--openai-api-base", place["scriptedUrl"] + "/v1", "--openai-api-key", place["key"]),
                *("--no-git", "--yes-always", "--no-check-update", "--analytics-disable", "--no-pretty"),
                *("--no-show-model-warnings", "--chat-mode", "ask", "--no-gitignore", "--no-show-release-notes"),
            ],
            cwd=folder,
            env={**os.environ, "HOME": folder, "AIDER_ANALYTICS": "false"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert "a short answer" in done.stdout, done.stdout


FLOWS = {"a question": question}
