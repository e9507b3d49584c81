PACKAGE = "langchain-openai"

CLIENT = {
    "name": "LangChain (Python)",
    "package": PACKAGE,
    "how": '`ChatOpenAI(base_url="http://127.0.0.1:8080/v1", api_key="any")`',
}


def chat(place, base="url", **more):
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        base_url=place[base] + "/v1", api_key=place["key"], model="any", max_retries=0, **more
    )


def invoke(place):
    message = chat(place, max_tokens=12).invoke("Hello!")
    assert message.content and message.usage_metadata["output_tokens"] > 0, message


def stream(place):
    text = "".join(part.content for part in chat(place, "scriptedUrl").stream("@say a streamed text"))
    assert text == "a streamed text", text


def tools(place):
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool

    @tool
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    model = chat(place, "scriptedUrl").bind_tools([add])
    asked = HumanMessage('@call add {"a": 2, "b": 3}')
    answer = model.invoke([asked])
    (call,) = answer.tool_calls
    assert call["args"] == {"a": 2, "b": 3}, call
    told = ToolMessage(str(add.invoke(call["args"])), tool_call_id=call["id"])
    last = model.invoke([asked, answer, told])
    assert last.content == "the tool said 5", last


def structured(place):
    from pydantic import BaseModel

    class Point(BaseModel):
        x: int
        name: str

    model = chat(place, "scriptedUrl").with_structured_output(Point, method="json_schema")
    point = model.invoke('@say {"x": 3, "name": "north"}')
    assert point == Point(x=3, name="north"), point


FLOWS = {"invoke": invoke, "stream": stream, "tools": tools, "structured output": structured}
