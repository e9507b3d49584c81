// What llama.cpp makes of a conversation: renders a chat template, and reads a model's output, with llama.cpp's own code.
// One JSON object a line on stdin, one on stdout:
//   in   template, bos, eos, messages, tools, tool_choice, parallel_tool_calls, enable_thinking, reasoning_format,
//        add_generation_prompt, continue_final_message, kwargs, outputs (texts to read), partial
//        or vocabulary (path of a GGUF file), before, after: the tokens of a prompt to fill in the middle
//   out  prompt, generation_prompt, format, caps, thinking_start, thinking_end, stops, messages (one for each output);
//        or tokens; or error
#include "chat.h"
#include "log.h"

#include <cstdio>
#include <ctime>
#include <iostream>

using json = common_json;

// Templates ask for the date: it is always noon of 26 July 2024 (UTC).
static const time_t NOW = 1721995200;

extern "C" time_t time(time_t * out) {
    if (out) {
        *out = NOW;
    }
    return NOW;
}

std::chrono::system_clock::time_point std::chrono::system_clock::now() noexcept {
    return std::chrono::system_clock::from_time_t(NOW);
}

static common_chat_templates_inputs inputs_of(const json & request) {
    common_chat_templates_inputs inputs;
    inputs.messages = common_chat_msgs_parse_oaicompat(request.at("messages"));
    if (request.contains("tools")) {
        inputs.tools = common_chat_tools_parse_oaicompat(request.at("tools"));
    }
    inputs.tool_choice           = common_chat_tool_choice_parse_oaicompat(request.value("tool_choice", "auto"));
    inputs.parallel_tool_calls   = request.value("parallel_tool_calls", true);
    inputs.enable_thinking       = request.value("enable_thinking", true);
    inputs.add_generation_prompt = request.value("add_generation_prompt", true);
    inputs.reasoning_format      = common_reasoning_format_from_name(request.value("reasoning_format", "auto"));
    if (request.contains("continue_final_message")) {
        inputs.continue_final_message = common_chat_continuation_parse(request.at("continue_final_message"));
    }
    if (request.contains("kwargs")) {
        for (const auto & [key, value] : request.at("kwargs").items()) {
            inputs.chat_template_kwargs[key] = value.dump();
        }
    }
    return inputs;
}

static json caps_of(const common_chat_templates * templates) {
    json caps = json::object();
    for (const auto & [name, value] : common_chat_templates_get_caps(templates)) {
        caps[name] = value;
    }
    return caps;
}

static json texts(const std::vector<std::string> & all) {
    json list = json::array();
    for (const auto & text : all) {
        list.push_back(text);
    }
    return list;
}

static json read(const common_chat_params & params, const json & request, const std::string & output) {
    try {
        common_chat_parser_params syntax(params);
        syntax.reasoning_format = common_reasoning_format_from_name(request.value("reasoning_format", "auto"));
        if (!params.parser.empty()) {
            syntax.parser.load(params.parser);
        }
        const auto message = common_chat_parse(output, request.value("partial", false), syntax);
        json       calls   = json::array();
        for (const auto & call : message.tool_calls) {
            calls.push_back({
                { "id",        call.id        },
                { "name",      call.name      },
                { "arguments", call.arguments },
            });
        }
        return {
            { "content",           message.content           },
            { "reasoning_content", message.reasoning_content },
            { "tool_calls",        calls                     },
        };
    } catch (const std::exception & error) {
        return { { "error", std::string(error.what()) } };
    }
}

static json answer(const json & request) {
    try {
        const auto templates = common_chat_templates_init(nullptr, request.at("template"), request.value("bos", ""),
                                                          request.value("eos", ""));
        const auto params    = common_chat_templates_apply(templates.get(), inputs_of(request));
        json       result    = {
            { "prompt",            params.prompt                           },
            { "generation_prompt", params.generation_prompt                },
            { "format",            common_chat_format_name(params.format)  },
            { "caps",              caps_of(templates.get())                },
            { "supports_thinking", params.supports_thinking                },
            { "thinking_start",    params.thinking_start_tag               },
            { "thinking_end",      texts(params.thinking_end_tags)         },
            { "stops",             texts(params.additional_stops)          },
        };
        if (request.contains("outputs")) {
            json messages = json::array();
            for (const auto & output : request.at("outputs")) {
                messages.push_back(read(params, request, output));
            }
            result["messages"] = messages;
        }
        return result;
    } catch (const std::exception & error) {
        return { { "error", std::string(error.what()) } };
    }
}

// As the server's /infill has it, for a text without a project around it.
static json fill_in(const json & request) {
    llama_model_params params = llama_model_default_params();
    params.vocab_only         = true;
    params.n_gpu_layers       = 0;
    const std::string path    = request.at("vocabulary");
    llama_model *     model   = llama_model_load_from_file(path.c_str(), params);
    if (model == nullptr) {
        return { { "error", "no vocabulary" } };
    }
    const llama_vocab * vocab = llama_model_get_vocab(model);
    llama_tokens        tokens;
    const auto          add   = [&](const llama_tokens & more) { tokens.insert(tokens.end(), more.begin(), more.end()); };
    if (llama_vocab_get_add_bos(vocab)) {
        tokens.push_back(llama_vocab_bos(vocab));
    }
    tokens.push_back(llama_vocab_fim_pre(vocab));
    add(common_tokenize(vocab, request.at("before"), false, false));
    tokens.push_back(llama_vocab_fim_suf(vocab));
    add(common_tokenize(vocab, request.at("after"), false, false));
    tokens.push_back(llama_vocab_fim_mid(vocab));
    json list = json::array();
    for (const auto token : tokens) {
        list.push_back(token);
    }
    llama_model_free(model);
    return { { "tokens", list } };
}

int main(int count, char ** arguments) {
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    if (count > 1) {
        ggml_backend_load_all_from_path(arguments[1]);
    }
    common_log_pause(common_log_main());
    std::string line;
    while (std::getline(std::cin, line)) {
        const json request = json::parse(line);
        const json result  = request.contains("vocabulary") ? fill_in(request) : answer(request);
        std::cout << result.dump_safe() << std::endl;
    }
    return 0;
}
