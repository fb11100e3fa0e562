/* vocabulary: the tokenizer of a file and the sampler, without an engine. */
#include "engine.h"

#include "base/memory.h"
#include "gguf/gguf.h"
#include "quant/quant.h"
#include "text/sampler.h"
#include "text/tokenizer.h"

/* ---- tokenizer alone ---- */

struct lb_vocab {
    struct tokenizer *tokenizer;
    const char *notice;
};

enum lb_status lb_vocab_open(const char *path, struct lb_vocab **out, struct lb_error *err)
{
    *out = NULL;
    struct gguf_file *file = NULL;
    struct lb_vocab *vocab = NULL;
    enum lb_status status = gguf_open(path, quant_tensor_bytes, &file, err);
    if (status != LB_OK)
        goto done;
    vocab = lb_calloc(1, sizeof *vocab);
    if (!vocab) {
        status = lb_fail(err, LB_ERR_NOMEM, "vocabulary: out of memory");
        goto done;
    }
    vocab->notice = tokenizer_note(file);
    status = tokenizer_open(file, &vocab->tokenizer, err);
    if (status == LB_OK)
        *out = vocab;
    else
        lb_free(vocab);
done:
    gguf_close(file);
    return status;
}

void lb_vocab_close(struct lb_vocab *vocab)
{
    if (!vocab)
        return;
    tokenizer_close(vocab->tokenizer);
    lb_free(vocab);
}

const char *lb_vocab_notice(const struct lb_vocab *vocab)
{
    return vocab->notice;
}

int32_t lb_vocab_bos(const struct lb_vocab *vocab)
{
    return tokenizer_adds_bos(vocab->tokenizer) ? tokenizer_bos(vocab->tokenizer) : -1;
}

enum lb_status lb_vocab_tokenize(const struct lb_vocab *vocab, const char *text, size_t length,
                                 struct lb_text_options options, int32_t **ids, size_t *count,
                                 struct lb_error *err)
{
    struct tokenizer_options o = {.bos = options.bos, .special = options.special};
    return tokenizer_encode(vocab->tokenizer, text, length, o, ids, count, err);
}

void lb_release(void *block)
{
    lb_free(block);
}

/* ---- sampler ---- */

struct lb_sampler {
    struct sampler *sampler;
};

enum lb_status lb_sampler_open(const struct lb_sampling *sampling, uint32_t n_vocab,
                               struct lb_sampler **out, struct lb_error *err)
{
    *out = NULL;
    struct lb_sampler *s = lb_calloc(1, sizeof *s);
    if (!s)
        return lb_fail(err, LB_ERR_NOMEM, "sampler: out of memory");
    struct sampler_options o = {.temperature = sampling->temperature,
                                .top_k = sampling->top_k,
                                .top_p = sampling->top_p,
                                .seed = sampling->seed};
    enum lb_status status = sampler_open(&o, n_vocab, &s->sampler, err);
    if (status == LB_OK)
        *out = s;
    else
        lb_free(s);
    return status;
}

void lb_sampler_close(struct lb_sampler *sampler)
{
    if (!sampler)
        return;
    sampler_close(sampler->sampler);
    lb_free(sampler);
}

int32_t lb_sampler_next(struct lb_sampler *sampler, const float *logits)
{
    return sampler_next(sampler->sampler, logits);
}
