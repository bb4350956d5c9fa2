/* engine/compile/pass_select.c: the table of passes, in order, and which of them are on.
 *
 * In: the core's rows, the registry's, and a selection such as "-fold_batch_norm" or
 * "none,+drop_identity". Out: manager->rows, or an error that names each word that means nothing.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/pass.h"

#include <stdio.h>

/* remove_dead goes first, so that no other pass looks at what nobody reads; what the others leave
 * behind it finds in the next round. */
static const tn_pass_def core[] = {
    { .size = sizeof(tn_pass_def),
      .phase = TN_PHASE_CLEAN,
      .order = 0,
      .exactness = TN_EXACT,
      .name = "remove_dead",
      .doc = "Removes nodes and constants that nothing reads, and optional outputs nobody wants.",
      .match = tn_match_dead },
    { .size = sizeof(tn_pass_def),
      .phase = TN_PHASE_CLEAN,
      .order = 10,
      .exactness = TN_EXACT,
      .name = "drop_identity",
      .doc = "Removes nodes whose first output is one of their inputs, bit for bit.",
      .match = tn_match_identity },
    { .size = sizeof(tn_pass_def),
      .phase = TN_PHASE_CLEAN,
      .order = 20,
      .exactness = TN_EXACT_ROUNDING,
      .name = "fold_constants",
      .doc = "Computes nodes whose inputs are all constant, with the reference kernels, and shapes "
             "that inference knows.",
      .match = tn_match_constant },
    { .size = sizeof(tn_pass_def),
      .phase = TN_PHASE_CLEAN,
      .order = 30,
      .exactness = TN_EXACT,
      .name = "merge_duplicates",
      .doc = "Merges nodes that compute the same from the same inputs, and constants of equal "
             "contents.",
      .match = tn_match_duplicate },
};
static const tn_pass_hooks hooks[TN_COUNT(core)] = {
    { .end = tn_dead_end },
    { 0 },
    { 0 },
    { .begin = tn_duplicates_begin, .end = tn_duplicates_end },
};

static int by_place(const void *a, const void *b)
{
    const tn_pass_def *left = &((const tn_pass_row *)a)->def,
                      *right = &((const tn_pass_row *)b)->def;
    if (left->phase != right->phase)
        return left->phase < right->phase ? -1 : 1;
    if (left->order != right->order)
        return left->order < right->order ? -1 : 1;
    return strcmp(left->name, right->name);
}

static tn_pass_row *find(tn_manager *manager, const char *name)
{
    for (uint32_t k = 0; k < manager->row_count; k++)
        if (strcmp(manager->rows[k].def.name, name) == 0)
            return &manager->rows[k];
    return NULL;
}

/* A plugin may not stand in for a pass of the core: the names in a selection would lie. */
static void refuse_twin(tn_manager *manager, const tn_pass *pass)
{
    char text[256];
    snprintf(text, sizeof text, "plugin '%s' brings a pass '%s', which is the core's own: left out",
             pass->plugin ? pass->plugin->info.name : "?", pass->def.name);
    tn_diagnose(manager->diagnostics, &(tn_diagnostic){ .size = sizeof(tn_diagnostic),
                                                        .severity = TN_SEVERITY_WARNING,
                                                        .status = TN_ERR_DUPLICATE,
                                                        .message = text });
}

static tn_status collect(tn_manager *manager)
{
    tn_registry *registry = manager->options->registry;
    size_t plugins = 0;
    while (registry && tn_registry_pass_at(registry, plugins))
        plugins++;
    manager->rows = tn_alloc(TN_COUNT(core) + plugins, sizeof *manager->rows);
    if (!manager->rows)
        return tn_raise_memory();
    for (size_t k = 0; k < TN_COUNT(core); k++)
        manager->rows[manager->row_count++] = (tn_pass_row){ .def = core[k], .hooks = &hooks[k] };
    for (size_t k = 0; k < plugins; k++) {
        const tn_pass *pass = tn_registry_pass_at(registry, k);
        if (find(manager, pass->def.name))
            refuse_twin(manager, pass);
        else
            manager->rows[manager->row_count++] = (tn_pass_row){ .def = pass->def,
                                                                 .plugin = pass->plugin };
    }
    qsort(manager->rows, manager->row_count, sizeof *manager->rows, by_place);
    return TN_OK;
}

/* The words that stand for a whole set. Approximate passes are only ever asked for. */
static bool set_all(tn_manager *manager, const char *word)
{
    const bool none = strcmp(word, "none") == 0, all = strcmp(word, "all") == 0;
    if (!none && !all && strcmp(word, "safe") != 0)
        return false;
    for (uint32_t k = 0; k < manager->row_count; k++) {
        tn_pass_row *row = &manager->rows[k];
        row->enabled = all || (!none && row->def.exactness <= TN_EXACT_ROUNDING);
        row->by_level = row->enabled && !all;
    }
    return true;
}

static tn_status complain(tn_manager *manager, tn_status status, const char *message,
                          const char *suggestion)
{
    return tn_diagnose(manager->diagnostics, &(tn_diagnostic){ .size = sizeof(tn_diagnostic),
                                                               .severity = TN_SEVERITY_ERROR,
                                                               .status = status,
                                                               .message = message,
                                                               .suggestion = suggestion });
}

static tn_status unknown(tn_manager *manager, const char *name)
{
    char text[200], suggestion[200] = "";
    const char **names = tn_alloc(manager->row_count, sizeof *names);
    const char *near = NULL;
    if (!names)
        return tn_raise_memory();
    for (uint32_t k = 0; k < manager->row_count; k++)
        names[k] = manager->rows[k].def.name;
    near = tn_nearest(name, names, manager->row_count);
    tn_free(names);
    snprintf(text, sizeof text, "no pass is called '%s'", name);
    if (near)
        snprintf(suggestion, sizeof suggestion, "did you mean '%s'?", near);
    return complain(manager, TN_ERR_NAME, text, suggestion);
}

/* What chooses no pass. "NAME=EXTENTS" is for whoever runs the graph; here it only passes by. */
static bool is_other(tn_manager *manager, const char *word, tn_status *status)
{
    *status = TN_OK;
    if (strncmp(word, "dump=", 5) == 0) {
        snprintf(manager->dump, sizeof manager->dump, "%s", word + 5);
        if (!find(manager, manager->dump))
            *status = unknown(manager, manager->dump);
        return true;
    }
    if (strcmp(word, "verify") == 0 || strncmp(word, "verify=", 7) == 0)
        manager->verify = true;
    else if (!strchr(word, '=') && strcmp(word, "standard") != 0)
        return false;
    return true;
}

static tn_status no_sign(tn_manager *manager, const char *item)
{
    static const char *const levels[] = { "none", "safe", "all", "verify", "standard" };
    const char *near = tn_nearest(item, levels, TN_COUNT(levels));
    char text[256], suggestion[64] = "";
    snprintf(text, sizeof text,
             "passes: '%.60s' has no sign: write '+%.40s' or '-%.40s', or one of none, safe, all",
             item, item, item);
    if (near)
        snprintf(suggestion, sizeof suggestion, "did you mean '%s'?", near);
    return complain(manager, TN_ERR_ARGUMENT, text, suggestion);
}

static tn_status switch_one(tn_manager *manager, const char *item)
{
    bool found = false;
    if (*item != '+' && *item != '-') {
        tn_status status = TN_OK;
        if (set_all(manager, item) || is_other(manager, item, &status))
            return status;
        return no_sign(manager, item);
    }
    for (uint32_t k = 0; k < manager->row_count; k++)
        if (tn_glob(item + 1, manager->rows[k].def.name)) {
            manager->rows[k].enabled = *item == '+';
            manager->rows[k].by_level = false;
            found = true;
        }
    return found ? TN_OK : unknown(manager, item + 1);
}

tn_status tn_pass_rows(tn_manager *manager)
{
    const char *rest = manager->options->selection ? manager->options->selection : "";
    char item[128];
    tn_status first = TN_OK;
    TN_TRY(collect(manager));
    set_all(manager, "safe");
    while (tn_list_next(&rest, ',', item, sizeof item)) {
        const tn_status status = *item ? switch_one(manager, item) : TN_OK;
        if (first == TN_OK)
            first = status;
    }
    return first;
}

bool tn_passes_word(const char *selection, const char *word, char *value, size_t bytes)
{
    const size_t length = strlen(word);
    char item[256];
    while (selection && tn_list_next(&selection, ',', item, sizeof item))
        if (strncmp(item, word, length) == 0 && (!item[length] || item[length] == '=')) {
            if (bytes)
                snprintf(value, bytes, "%s", item + length + (item[length] == '='));
            return true;
        }
    return false;
}

const tn_pass_def *tn_core_passes(uint32_t *count)
{
    *count = (uint32_t)TN_COUNT(core);
    return core;
}
