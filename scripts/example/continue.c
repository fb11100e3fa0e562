/*
 * continue: a program that embeds the engine: opens a model whose layers stream through a cache of
 * two of them, and continues a text.
 *
 *   continue MODEL TEXT TOKENS
 */
#include <engine.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum lb_status print_tokens(struct lb_engine *engine, struct lb_decoder *decoder,
                                   const char *text, uint32_t tokens, struct lb_error *err)
{
    struct lb_drawn drawn;
    int32_t *ids = NULL;
    size_t n = 0;
    enum lb_status status = lb_engine_tokenize(
        engine, text, strlen(text), (struct lb_text_options){.bos = true}, &ids, &n, err);
    if (status == LB_OK)
        status = lb_decoder_begin(decoder, 0, ids, n, &drawn, err);
    for (size_t i = 0; i < n; i++) /* so that the first new token joins the text */
        (void)lb_engine_detokenize(engine, ids[i]);
    for (uint32_t i = 1; status == LB_OK && !lb_engine_ends(engine, drawn.tokens[0]); i++) {
        fputs(lb_engine_detokenize(engine, drawn.tokens[0]), stdout);
        if (i >= tokens)
            break;
        status = lb_decoder_step(decoder, &(uint32_t){1}, &drawn, err);
    }
    puts(lb_engine_detokenize(engine, -1));
    lb_release(ids);
    return status;
}

int main(int argc, char **argv)
{
    struct lb_error err = LB_ERROR_INIT;
    struct lb_options options = lb_options_default();
    struct lb_sampling likeliest = {.temperature = 0, .top_p = 1};
    struct lb_engine *engine = NULL;
    struct lb_decoder *decoder = NULL;
    if (argc != 4) {
        fputs("usage: continue MODEL TEXT TOKENS\n", stderr);
        return 2;
    }
    options.model_path = argv[1];
    options.cache_layers = 2;
    if (lb_engine_open(&options, &engine, &err) == LB_OK &&
        lb_decoder_open(engine, &options.speculation, &likeliest, &decoder, &err) == LB_OK &&
        print_tokens(engine, decoder, argv[2], (uint32_t)strtoul(argv[3], NULL, 10), &err) == LB_OK)
        fprintf(stderr, "%llu layers read\n",
                (unsigned long long)lb_engine_stats(engine).misses +
                    lb_engine_stats(engine).prefetched + lb_engine_stats(engine).late);
    else
        fprintf(stderr, "continue: %s\n", err.text);
    lb_decoder_close(decoder);
    lb_engine_close(engine);
    return err.code == LB_OK ? 0 : 1;
}
