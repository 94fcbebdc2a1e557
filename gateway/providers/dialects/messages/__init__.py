"""Anthropic's Messages API, put to providers as chat completions.

| parameter | becomes |
|---|---|
| `model` | the provider's model, as routed |
| `system`, `messages` | messages (conversation.py, content.py, thinking.py) |
| `max_tokens` | `max_tokens`, or `max_completion_tokens` as the model wants (limits.py); 0 is an error |
| `temperature`, `top_p` | unchanged, as are all digits |
| `stop_sequences` | `stop` |
| `stream` | unchanged, with `stream_options.include_usage` |
| `tools` | functions; what Anthropic runs or trained (`web_search`, `bash` …) is not supported |
| `tool_choice` | `auto`, `required`, `none` or the function, and `parallel_tool_calls: false` |
| `thinking` `enabled` | `reasoning_effort`: low below 4,096 tokens, medium below 16,384, else high |
| `thinking` `adaptive`, `disabled`, none | nothing: the provider does as it does by itself |
| `thinking` `disabled`, `display: omitted` | thoughts are not shown to the client |
| `output_config.effort` | `reasoning_effort`, before what `thinking` says |
| `output_config.format` | `response_format`, strict |
| `metadata.user_id` | `user`; its SHA-256 where it has more than 64 characters |
| `service_tier` | `standard_only` is `default`, `auto` is nothing |
| `cache_control`, `eager_input_streaming` | nothing, wherever they stand: they are hints |
| `speed: standard`, `context_management` that clears nothing | nothing: it is so anyway |
| `top_k`, `container`, `mcp_servers`, `diagnostics`, `inference_geo` …, unknown ones | not supported |

Null is the same as absent. What is not supported is refused (400, `unsupported_parameter`), or left out with
`drop_unsupported`; so are citations, and the role of a last message of the assistant, since chat completions
answers it rather than continue it. Refused in any case is content: images and documents by `file_id`,
documents by URL, and blocks of Anthropic's own tools (`server_tool_use`, `web_search_tool_result` …).
"""

from gateway.providers.dialects.messages.request import translate

__all__ = ["translate"]
