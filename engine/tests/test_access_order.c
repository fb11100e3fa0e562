/*
 * access order: what a tensor's name says of its place in a layer is the order in which a model
 * binds its tensors, for every architecture.
 */
#include "engine.h"
#include "gguf/gguf.h"
#include "made_model.h"
#include "model/model.h"
#include "tests/check.h"

#include <dirent.h>

static uint32_t models_seen;

static void check_file(const char *path)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *file;
    struct model *model;
    if (gguf_open(path, quant_tensor_bytes, &file, &err) != LB_OK)
        return;
    if (model_open(file, &model, &err) == LB_OK) {
        models_seen++;
        for (uint32_t l = 0; l < model_config(model)->n_layers; l++) {
            uint32_t n, layer, rank, before = 0;
            bool of_experts;
            const struct model_tensor *t = model_tensors(model, (int)l, &n);
            for (uint32_t i = 0; i < n; i++, before = rank) {
                CHECK(lb_tensor_order(t[i].name, &layer, &rank, &of_experts), "%s: %s", path,
                      t[i].name);
                CHECK(of_experts == (t[i].experts > 0), "%s: %s", path, t[i].name);
                CHECK(layer == l && (i == 0 || rank > before), "%s: %s", path, t[i].name);
            }
        }
        model_close(model);
    }
    gguf_close(file);
}

static void made_models(void)
{
    static const char *const architectures[] = {"llama",   "qwen2",    "qwen3",
                                                "olmoe",   "qwen2moe", "qwen3moe",
                                                "glm4moe", "gpt-oss",  "deepseek2"};
    for (int i = 0; i < 9; i++) {
        struct made_model made = i < 3 ? made_usual() : made_mixture(architectures[i]);
        made.architecture = architectures[i];
        made.biases |= i < 2;
        made_write(&made, made_path("order.gguf"));
        check_file(made_path("order.gguf"));
        CHECK(models_seen == (uint32_t)i + 1, "%s", architectures[i]);
    }
    unlink(made_path("order.gguf"));
    made_clean();
}

static void shared_models(const char *inside)
{
    char folder[4000], path[5000];
    if (!check_shared())
        return;
    snprintf(folder, sizeof folder, "%s%s/models", check_shared(), inside);
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (strstr(e->d_name, ".gguf"))
            check_file(path);
    }
    if (dir)
        closedir(dir);
}

int main(void)
{
    uint32_t layer, rank;
    bool of_experts;
    made_models();
    shared_models("");
    shared_models("/experts");
    printf("%u models\n", models_seen);
    CHECK(!lb_tensor_order("token_embd.weight", &layer, &rank, &of_experts));
    CHECK(!lb_tensor_order("blk.3.attn_q.bia", &layer, &rank, &of_experts));
    CHECK(!lb_tensor_order("blk.attn_q.bias", &layer, &rank, &of_experts));
    return check_done();
}
