/* fuzz: chat templates: which known format a template is, whatever it holds. */
#include "tests/fuzz_input.h"
#include "text/chat_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    const struct chat_format *format = chat_find(text);
    FUZZ_CHECK(!format || (*format->name && *format->before && *format->after));
    free(text);
    return 0;
}
