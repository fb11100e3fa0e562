/* chat_format: the known formats. See chat_format.h. */
#include "text/chat_format.h"

#include <stddef.h>
#include <string.h>

/* A template is of the first format both of whose marks it holds. */
static const struct {
    const char *marks[2];
    struct chat_format format;
} known[] = {
    {{"<|im_start|>", "<|im_end|>"},
     {.name = "chatml",
      .before = "<|im_start|>user\n",
      .after = "<|im_end|>\n<|im_start|>assistant\n",
      .end = "<|im_end|>",
      .between = "\n",
      .system = {"<|im_start|>system\n", "<|im_end|>\n"}}},
    {{"<|start_header_id|>", "<|eot_id|>"},
     {.name = "llama-3",
      .before = "<|start_header_id|>user<|end_header_id|>\n\n",
      .after = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
      .end = "<|eot_id|>",
      .between = "",
      .system = {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"}}},
    {{"<|user|>", "<|end|>"},
     {.name = "phi-3",
      .before = "<|user|>\n",
      .after = "<|end|>\n<|assistant|>\n",
      .end = "<|end|>",
      .between = "\n",
      .system = {"<|system|>\n", "<|end|>\n"}}},
    {{"<|user|>", "eos_token"},
     {.name = "zephyr",
      .before = "<|user|>\n",
      .after = "</s>\n<|assistant|>\n",
      .end = "</s>",
      .between = "\n",
      .system = {"<|system|>\n", "</s>\n"}}},
    {{"<\uFF5CUser\uFF5C>", "<\uFF5CAssistant\uFF5C>"},
     {.name = "deepseek",
      .before = "<\uFF5CUser\uFF5C>",
      .after = "<\uFF5CAssistant\uFF5C>",
      .end = "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
      .between = "",
      .system = {"", ""}}},
    {{"[INST]", "<<SYS>>"},
     {.name = "llama-2",
      .before = "[INST] ",
      .after = " [/INST]",
      .end = "</s>",
      .between = "<s>",
      .system = {"<<SYS>>\n", "\n<</SYS>>\n\n"},
      .system_inside = true}},
    {{"[INST]", "[/INST]"},
     {.name = "mistral",
      .before = "[INST] ",
      .after = " [/INST]",
      .end = "</s>",
      .between = "<s>",
      .system = {"", "\n\n"},
      .system_inside = true}},
};

const struct chat_format *chat_find(const char *template_text)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(template_text, known[i].marks[0]) && strstr(template_text, known[i].marks[1]))
            return &known[i].format;
    return NULL;
}

const struct chat_format *chat_at(size_t i)
{
    return i < sizeof known / sizeof *known ? &known[i].format : NULL;
}
