/* tokenize: the token ids of a text, separated by spaces; from a GGUF with or without weights. */
#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/file_io.h"
#include "engine.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tokenize {
    const char *model;
    bool bos, special;
};

#define FIELD(name) offsetof(struct tokenize, name)
static const struct option own[] = {
    {"model", "FILE", "GGUF file, with or without weights", OPTION_TEXT, FIELD(model),
     .letter = 'm'},
    {"bos", NULL, "begin with BOS where the model wants one", OPTION_FLAG, FIELD(bos), .flags = 0},
    {"special", NULL, "recognise special tokens in the text", OPTION_FLAG, FIELD(special),
     .flags = 0},
};

int command_tokenize(int argc, char **argv)
{
    struct tokenize t = {0};
    struct cli cli = {"tokenize", "--model FILE [options] TEXT",
                      "Prints the token ids of TEXT (- reads it from stdin).", CLI_OWN(own, &t)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (!t.model || argc != 2)
        return cli_fail("tokenize", "expected %s",
                        t.model ? "one TEXT (put it in quotes)" : "--model FILE");
    struct lb_error err = LB_ERROR_INIT;
    struct lb_vocab *vocab = NULL;
    char *read = NULL;
    const char *text = argv[1];
    size_t length = strlen(text), n = 0;
    int32_t *ids = NULL;
    struct lb_text_options options = {t.bos, t.special};
    if (strcmp(text, "-") == 0 && file_read("-", &read, &length, &err) == LB_OK)
        text = read;
    if (err.code == LB_OK && lb_vocab_open(t.model, &vocab, &err) == LB_OK &&
        lb_vocab_tokenize(vocab, text, length, options, &ids, &n, &err) == LB_OK) {
        if (*lb_vocab_notice(vocab))
            fprintf(stderr, "layerbench tokenize: %s\n", lb_vocab_notice(vocab));
        if (t.bos)
            model_options_note_bos("tokenize", lb_vocab_bos(vocab), ids, n);
        for (size_t i = 0; i < n; i++)
            printf("%s%d", i ? " " : "", ids[i]);
        putchar('\n');
    }
    code = err.code == LB_OK ? EXIT_OK : model_options_error("tokenize", &err);
    lb_release(ids);
    lb_vocab_close(vocab);
    free(read);
    return code;
}
