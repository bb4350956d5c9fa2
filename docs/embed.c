/* docs/embed.c: loads a network, runs it, prints what it answers, frees all.
 *     cc embed.c $(pkg-config --cflags --libs tenon) -o embed && ./embed fashion-lenet.json
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <tenon/tenon.h>

int main(int argc, char **argv)
{
    float pixels[28 * 28] = { 0 }; /* the picture: (grey / 255 - mean) / std, row by row */
    const int64_t dims[4] = { 1, 1, 28, 28 };
    const tn_tensor image = { sizeof image, 0, TN_FLOAT32, 4, dims, NULL, pixels, sizeof pixels, 0, 0, NULL };
    tn_runtime *runtime = NULL; tn_model *model = NULL; tn_session *session = NULL; tn_context *context = NULL;
    int bad = tn_runtime_create(NULL, NULL, &runtime) || argc < 2 ||
              tn_model_load(runtime, argv[1], NULL, NULL, &model) || tn_session_create(model, NULL, NULL, &session) ||
              tn_context_create(session, &context) || tn_context_set_input(context, "image", &image) ||
              tn_context_run(context, NULL);
    for (int k = 0; !bad && k < 10; k++)
        printf("class %d: %.4f\n", k, ((const float *)tn_context_output(context, 0)->data)[k]);
    if (bad) fprintf(stderr, "%s\n", tn_error_message());
    tn_context_destroy(context); tn_session_destroy(session); tn_model_destroy(model); tn_runtime_destroy(runtime);
    return bad;
}
