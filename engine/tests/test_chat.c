/* chat: which template is of which format. The templates are shortened from those of models. */
#include "tests/check.h"
#include "text/chat_format.h"

static void is(const char *template_text, const char *expected)
{
    const struct chat_format *f = chat_find(template_text);
    CHECK_TEXT(f ? f->name : "none", expected);
}

int main(void)
{
    is("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' "
       "}}{% endfor %}",
       "chatml");
    is("{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + "
       "'<|eot_id|>' }}",
       "llama-3");
    is("{{ '<|user|>\\n' + m['content'] + eos_token }}{{ '<|assistant|>\\n' }}", "zephyr");
    is("{{ '<|user|>\\n' + m['content'] + '<|end|>\\n' }}{{ eos_token }}", "phi-3");
    is("{{ bos_token + '[INST] ' + m['content'] + ' [/INST]' }}{{ m['content'] + eos_token }}",
       "mistral");
    is("{% if system %}{{ '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' }}{% endif %}"
       "{{ bos_token + '[INST] ' + m['content'] + ' [/INST]' }}",
       "llama-2");
    is("{{ '<\uFF5CUser\uFF5C>' + m['content'] + '<\uFF5CAssistant\uFF5C>' }}", "deepseek");
    is("{{ m['content'] }}", "none");
    is("", "none");
    const struct chat_format *f = chat_find("<|im_start|><|im_end|>");
    CHECK(f != NULL);
    if (f) {
        CHECK_TEXT(f->before, "<|im_start|>user\n");
        CHECK_TEXT(f->after, "<|im_end|>\n<|im_start|>assistant\n");
    }
    return check_done();
}
