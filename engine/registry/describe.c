/* What is registered, as text for people: one operator, all operators as a table, all passes.
 *
 * In: the registry's tables. Out: text, piece by piece, to the caller's function.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <stdio.h>

/* ---- words ------------------------------------------------------------------------------------- */

typedef struct word {
    uint32_t bit;
    const char *text;
} word;

static const word traits[] = {
    { TN_ELEMENTWISE, "elementwise" },
    { TN_COMMUTATIVE, "commutative" },
    { TN_NONDETERMINISTIC, "nondeterministic" },
    { TN_MAY_FAIL, "may fail" },
    { TN_SIDE_EFFECT, "side effect" },
    { TN_MOVES_BYTES, "moves bytes only" },
    { TN_REGIONS, "runs bodies" },
    { TN_RESHAPES, "a view of input 0" },
};
static const word flags[] = {
    { TN_PARAM_OPTIONAL, "optional" },
    { TN_PARAM_VARIADIC, "variadic" },
    { TN_PARAM_HETEROGENEOUS, "heterogeneous" },
    { TN_PARAM_SEQUENCE, "or a sequence" },
    { TN_PARAM_OPTIONAL_TYPE, "or an optional" },
    { TN_PARAM_NOT_TENSOR, "no bare tensor" },
};

static void add_words(tn_builder *out, const word *words, size_t count, uint32_t bits,
                      const char *first)
{
    for (size_t k = 0; k < count; k++)
        if (bits & words[k].bit) {
            tn_add(out, "%s%s", first, words[k].text);
            first = "; ";
        }
}

static const char *attribute_type(uint32_t type)
{
    static const char *const names[] = { "any",    "float",  "int",  "string",  "tensor",
                                         "graph",  "floats", "ints", "strings", "tensors",
                                         "graphs", "?",      "?",    "type",    "types" };
    return type < TN_COUNT(names) ? names[type] : "?";
}

static void add_domain(tn_builder *out, const tn_operator_def *def)
{
    tn_add(out, "%s%s%s", def->domain, *def->domain ? "::" : "", def->name);
}

/* Sets that people know have a name; the rest are listed. */
static void add_types(tn_builder *out, uint64_t types)
{
    static const struct {
        uint64_t mask;
        const char *name;
    } sets[] = {
        { TN_MASK_ALL, "all types" },
        { TN_MASK_NUMERIC, "numbers" },
        { TN_MASK_FLOAT, "floats" },
        { TN_MASK_INTEGER, "integers" },
        { TN_MASK_FLOAT8, "float8" },
        { TN_MASK_SIGNED, "signed integers" },
        { TN_MASK_UNSIGNED, "unsigned integers" },
        { TN_MASK_SUB_BYTE, "2- and 4-bit types" },
        { TN_MASK_COMPLEX, "complex" },
    };
    const char *between = "";
    for (size_t k = 0; k < TN_COUNT(sets); k++)
        if ((types & sets[k].mask) == sets[k].mask) {
            tn_add(out, "%s%s", between, sets[k].name);
            types &= ~sets[k].mask;
            between = ", ";
        }
    for (uint32_t dtype = 1; dtype < TN_DTYPE_COUNT; dtype++)
        if (types >> dtype & 1) {
            tn_add(out, "%s%s", between, tn_dtype_name(dtype));
            between = ", ";
        }
}

static tn_status flush(tn_builder *out, tn_print_fn print, void *user)
{
    const tn_status status = out->failed ? tn_raise_memory() : TN_OK;
    if (status == TN_OK && out->count)
        print(user, out->text, out->count);
    tn_builder_fini(out);
    return status;
}

/* ---- one operator -------------------------------------------------------------------------------- */

static void add_doc(tn_builder *out, const char *doc)
{
    if (doc && *doc)
        tn_add(out, "\n        %s", doc);
    tn_add(out, "\n");
}

static void add_params(tn_builder *out, const char *title, const tn_param_def *params,
                       uint32_t count)
{
    if (count)
        tn_add(out, "  %s\n", title);
    for (uint32_t k = 0; k < count; k++) {
        const tn_param_def *p = &params[k];
        tn_add(out, "    %s  ", p->name);
        if (p->constraint)
            tn_add(out, "%s: ", p->constraint);
        add_types(out, p->types);
        add_words(out, flags, TN_COUNT(flags), p->flags, "; ");
        if ((p->flags & TN_PARAM_VARIADIC) && p->minimum)
            tn_add(out, ", at least %" PRIu32, p->minimum);
        add_doc(out, p->doc);
    }
}

static void add_default(tn_builder *out, const tn_attribute_def *a)
{
    tn_add(out, "; default ");
    switch (a->type) {
    case TN_ATTR_INT: tn_add(out, "%" PRId64, a->i); break;
    case TN_ATTR_FLOAT: tn_add_number(out, (double)a->f, true); break;
    case TN_ATTR_STRING: tn_add(out, "\"%s\"", a->s); break;
    case TN_ATTR_INTS:
        tn_add(out, "[");
        for (uint32_t k = 0; k < a->ints_count; k++)
            tn_add(out, "%s%" PRId64, k ? ", " : "", a->ints[k]);
        tn_add(out, "]");
        break;
    default: tn_add(out, "[]"); break;
    }
}

static void add_attributes(tn_builder *out, const tn_operator_def *def)
{
    if (def->attribute_count)
        tn_add(out, "  attributes\n");
    for (uint32_t k = 0; k < def->attribute_count; k++) {
        const tn_attribute_def *a = &def->attributes[k];
        tn_add(out, "    %s  %s", a->name, attribute_type(a->type));
        if (a->flags & TN_ATTR_REQUIRED)
            tn_add(out, "; required");
        if (a->flags & TN_ATTR_HAS_DEFAULT)
            add_default(out, a);
        add_doc(out, a->doc);
    }
}

/* Nodes of an old version become newer ones before kernels are asked, but where it has kernels that
 * name their versions. */
static bool serves(const tn_kernel *kernel, const tn_operator_def *def, const tn_operator *newer)
{
    const tn_kernel_def *k = &kernel->def;
    return strcmp(k->op, def->name) == 0 && strcmp(k->domain, def->domain) == 0 &&
           def->since >= k->since && (!k->until || def->since <= k->until) &&
           (!newer || k->since || k->until);
}

static void add_kernels(tn_builder *out, const tn_registry *registry, const tn_operator *op)
{
    const tn_operator *newer = tn_registry_newer(registry, op);
    const char *title = "  kernels\n";
    pthread_rwlock_rdlock((pthread_rwlock_t *)&registry->tables);
    for (uint32_t k = 0; k < registry->kernels.count; k++) {
        const tn_kernel *kernel = registry->kernels.items[k];
        if (!serves(kernel, &op->def, newer))
            continue;
        tn_add(out, "%s    %s  ", title, kernel->def.backend);
        if (kernel->def.types)
            add_types(out, kernel->def.types);
        else
            tn_add(out, "decides by itself");
        tn_add(out, "  (%s%s)\n", kernel->plugin->info.name,
               kernel->backend ? "" : "; that backend is not opened yet");
        title = "";
    }
    pthread_rwlock_unlock((pthread_rwlock_t *)&registry->tables);
    if (*title && newer)
        tn_add(out, "  nodes of it become those of set %" PRIu32 " when a model is read\n",
               newer->def.since);
    else if (*title)
        tn_add(out, "  no kernels are loaded\n");
}

static void add_operator(tn_builder *out, const tn_registry *registry, const tn_operator *op)
{
    const tn_operator_def *def = &op->def;
    add_domain(out, def);
    tn_add(out, ", since operator set %" PRIu32, def->since);
    if (def->accepts_from && def->accepts_from < def->since)
        tn_add(out, ", takes nodes from set %u on", (unsigned)def->accepts_from);
    tn_add(out, "  (%s)\n", op->plugin ? op->plugin->info.name : "model");
    if (def->doc && *def->doc)
        tn_add(out, "  %s\n", def->doc);
    add_params(out, "inputs", def->inputs, def->input_count);
    add_params(out, "outputs", def->outputs, def->output_count);
    add_attributes(out, def);
    if (def->traits) {
        tn_add(out, "  traits");
        add_words(out, traits, TN_COUNT(traits), def->traits, ": ");
        tn_add(out, "\n");
    }
    if (def->body || def->expand)
        tn_add(out, "  can be made of other operators\n");
    if (def->upgrade)
        tn_add(out, "  nodes of the version before are brought up to this one\n");
    add_kernels(out, registry, op);
}

/* "domain::Name" in two; a name without one is ai.onnx's, which may be written out as well. */
static void split_name(const char *name, char *domain, size_t bytes, const char **op)
{
    const char *at = tn_find_last(name, "::");
    domain[0] = '\0';
    *op = name;
    if (!at || (size_t)(at - name) >= bytes)
        return;
    memcpy(domain, name, (size_t)(at - name));
    domain[at - name] = '\0';
    *op = at + 2;
    if (strcmp(domain, "ai.onnx") == 0)
        domain[0] = '\0';
}

static tn_status unknown_operator(const tn_registry *registry, const char *domain, const char *op)
{
    const char *near = tn_registry_nearest_operator(registry, domain, op);
    const char *near_domain = tn_registry_newest(registry, domain)
                                  ? NULL
                                  : tn_registry_nearest_domain(registry, domain);
    const char *shown = *domain ? domain : "ai.onnx";
    if (near)
        return tn_raise(TN_ERR_NAME,
                        "no plugin brings operator '%s' of domain %s; did you mean '%s'?", op,
                        shown, near);
    if (near_domain)
        return tn_raise(TN_ERR_NAME,
                        "no plugin brings operator '%s' of domain %s; did you mean domain '%s'?",
                        op, shown, near_domain);
    return tn_raise(TN_ERR_NAME, "no plugin brings operator '%s' of domain %s", op, shown);
}

tn_status tn_registry_print_operator(const tn_registry *registry, const char *name,
                                     tn_print_fn print, void *user)
{
    char domain[256];
    const char *op_name;
    const tn_operator *op;
    tn_builder out = { 0 };
    if (!name || !*name || !print)
        return tn_raise(TN_ERR_ARGUMENT, "no operator is named");
    split_name(name, domain, sizeof domain, &op_name);
    /* The newest first: it is what a reader most likely wants. */
    for (int64_t opset = INT64_MAX;
         (op = tn_registry_operator(registry, domain, op_name, opset, NULL)) != NULL;) {
        if (out.count)
            tn_add(&out, "\n");
        add_operator(&out, registry, op);
        opset = op->def.accepts_from ? op->def.accepts_from : op->def.since;
        opset--;
    }
    if (!out.count) {
        tn_builder_fini(&out);
        return unknown_operator(registry, domain, op_name);
    }
    return flush(&out, print, user);
}

/* ---- the table ------------------------------------------------------------------------------------- */

/* Backends with a kernel for it, each once: the table is sorted by backend. */
static void add_backends(tn_builder *out, const tn_registry *registry, const tn_operator *op)
{
    const tn_operator *newer = tn_registry_newer(registry, op);
    const char *last = "";
    pthread_rwlock_rdlock((pthread_rwlock_t *)&registry->tables);
    for (uint32_t k = 0; k < registry->kernels.count; k++) {
        const tn_kernel *kernel = registry->kernels.items[k];
        if (!serves(kernel, &op->def, newer) || strcmp(kernel->def.backend, last) == 0)
            continue;
        tn_add(out, "%s%s", *last ? ", " : "", kernel->def.backend);
        last = kernel->def.backend;
    }
    pthread_rwlock_unlock((pthread_rwlock_t *)&registry->tables);
}

tn_status tn_registry_print_operators(const tn_registry *registry, tn_print_fn print, void *user)
{
    const tn_operator *op;
    tn_builder out = { 0 };
    if (!print)
        return tn_raise(TN_ERR_ARGUMENT, "there is no function to print with");
    tn_add(&out, "| operator | since | from | types of the first input | kernels | plugin |\n");
    tn_add(&out, "|---|---|---|---|---|---|\n");
    for (size_t k = 0; (op = tn_registry_operator_at(registry, k)) != NULL; k++) {
        const tn_operator_def *def = &op->def;
        const uint32_t from = def->accepts_from ? def->accepts_from : def->since;
        tn_add(&out, "| ");
        add_domain(&out, def);
        tn_add(&out, " | %" PRIu32 " | %" PRIu32 " | ", def->since, from);
        if (def->input_count)
            add_types(&out, def->inputs[0].types);
        tn_add(&out, " | ");
        add_backends(&out, registry, op);
        tn_add(&out, " | %s |\n", op->plugin->info.name);
    }
    return flush(&out, print, user);
}

/* ---- passes ------------------------------------------------------------------------------------------ */

static void add_pass(tn_builder *out, const tn_pass_def *def, const char *plugin)
{
    static const char *const phases[] = { "?", "clean", "recognize", "fold", "move", "late" };
    static const char *const exactness[] = { "exact", "rounding", "approximate" };
    tn_add(out, "%-24s %-10s %-12s %s", def->name, phases[def->phase], exactness[def->exactness],
           plugin);
    add_doc(out, def->doc);
}

tn_status tn_registry_print_passes(const tn_registry *registry, const tn_pass_def *core,
                                   uint32_t core_count, tn_print_fn print, void *user)
{
    const tn_pass *pass;
    tn_builder out = { 0 };
    if (!print)
        return tn_raise(TN_ERR_ARGUMENT, "there is no function to print with");
    for (uint32_t k = 0; k < core_count; k++)
        add_pass(&out, &core[k], "core");
    for (size_t k = 0; (pass = tn_registry_pass_at(registry, k)) != NULL; k++)
        add_pass(&out, &pass->def, pass->plugin->info.name);
    return flush(&out, print, user);
}
