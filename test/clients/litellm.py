PACKAGE = "litellm"

CLIENT = {
    "name": "LiteLLM",
    "package": PACKAGE,
    "how": '`completion(model="openai/any", api_base="http://127.0.0.1:8080/v1", api_key="any")`',
}


def ask(place, content, base="url", **more):
    import litellm

    return litellm.completion(
        model="openai/any",
        api_base=place[base] + "/v1",
        api_key=place["key"],
        messages=[{"role": "user", "content": content}],
        num_retries=0,
        **more,
    )


def completion(place):
    answer = ask(place, "Hello!", max_tokens=12)
    assert answer.choices[0].message.content and answer.usage.completion_tokens > 0, answer


def stream(place):
    parts = ask(place, "@say a streamed text", "scriptedUrl", stream=True)
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == "a streamed text", text


def tools(place):
    import json

    parameters = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    tool = {"type": "function", "function": {"name": "add", "parameters": parameters}}
    answer = ask(place, '@call add {"a": 2, "b": 3}', "scriptedUrl", tools=[tool])
    (call,) = answer.choices[0].message.tool_calls
    assert json.loads(call.function.arguments) == {"a": 2, "b": 3}, call


FLOWS = {"completion": completion, "stream": stream, "tools": tools}
