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
     {"chatml", "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>", "\n"}},
    {{"<|start_header_id|>", "<|eot_id|>"},
     {"llama-3", "<|start_header_id|>user<|end_header_id|>\n\n",
      "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>", ""}},
    {{"<|user|>", "<|end|>"}, {"phi-3", "<|user|>\n", "<|end|>\n<|assistant|>\n", "<|end|>", "\n"}},
    {{"<|user|>", "eos_token"}, {"zephyr", "<|user|>\n", "</s>\n<|assistant|>\n", "</s>", "\n"}},
    {{"<\uFF5CUser\uFF5C>", "<\uFF5CAssistant\uFF5C>"},
     {"deepseek", "<\uFF5CUser\uFF5C>", "<\uFF5CAssistant\uFF5C>",
      "<\uFF5Cend\u2581of\u2581sentence\uFF5C>", ""}},
    {{"[INST]", "[/INST]"}, {"llama-2", "[INST] ", " [/INST]", "</s>", "<s>"}},
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
