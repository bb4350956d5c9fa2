/* What a plugin registers: the checks of each definition, and the way into the tables.
 *
 * In: definitions from a plugin's load(). Out: host copies of them, full-sized, in the registry's
 * tables, all or none. Two plugins that offer the same thing are an error, unless one stands ahead
 * (an earlier folder, or a file that the caller loads): then the other's goes unused, and its
 * message says so.
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "engine/registry/tables.h"

#include <ctype.h>
#include <stdio.h>

/* ---- the five kinds of things ------------------------------------------------------------------ */

typedef struct kind {
    size_t table, batch, counter; /* offsets in tn_registry, tn_batch, tn_plugin_info */
    size_t owner;                 /* offset of `plugin` in the item */
    bool (*same)(const void *a, const void *b); /* may not stand side by side */
    int (*compare)(const void *a, const void *b);
    void (*describe)(const void *item, char *text, size_t bytes);
} kind;

static void add_qualified(char *text, size_t bytes, const char *prefix, const char *domain,
                          const char *name)
{
    snprintf(text, bytes, "%s'%s%s%s'", prefix, domain, *domain ? "::" : "", name);
}

static bool same_operator(const void *a, const void *b)
{
    return tn_compare_operators(a, b) == 0;
}
static int order_operators(const void *a, const void *b)
{
    return tn_compare_operators(a, b);
}
static void describe_operator(const void *item, char *text, size_t bytes)
{
    const tn_operator *op = item;
    char name[160];
    add_qualified(name, sizeof name, "operator ", op->def.domain, op->def.name);
    snprintf(text, bytes, "%s since %" PRIu32, name, op->def.since);
}

static int order_kernels(const void *a, const void *b)
{
    const tn_kernel_def *x = &((const tn_kernel *)a)->def, *y = &((const tn_kernel *)b)->def;
    const uint32_t p = ((const tn_kernel *)a)->plugin->rank,
                   q = ((const tn_kernel *)b)->plugin->rank;
    int by = strcmp(x->domain, y->domain);
    by = by ? by : strcmp(x->op, y->op);
    by = by ? by : strcmp(x->backend, y->backend);
    return by ? by : (p > q) - (p < q);
}
/* Of one plugin, rows may overlap (it orders them itself); of two, no problem may fit both. */
static bool same_kernel(const void *a, const void *b)
{
    const tn_kernel *k = a, *l = b;
    const tn_kernel_def *x = &k->def, *y = &l->def;
    const uint64_t types = (x->types ? x->types : UINT64_MAX) & (y->types ? y->types : UINT64_MAX);
    return k->plugin != l->plugin && types && strcmp(x->op, y->op) == 0 &&
           strcmp(x->domain, y->domain) == 0 && strcmp(x->backend, y->backend) == 0 &&
           (!y->until || x->since <= y->until) && (!x->until || y->since <= x->until);
}
static void describe_kernel(const void *item, char *text, size_t bytes)
{
    const tn_kernel *kernel = item;
    char name[160];
    add_qualified(name, sizeof name, "kernel of ", kernel->def.domain, kernel->def.op);
    snprintf(text, bytes, "%s on '%s'", name, kernel->def.backend);
}

static int order_backends(const void *a, const void *b)
{
    return strcmp(((const tn_backend *)a)->def.name, ((const tn_backend *)b)->def.name);
}
static bool same_backend(const void *a, const void *b)
{
    return order_backends(a, b) == 0;
}
static void describe_backend(const void *item, char *text, size_t bytes)
{
    snprintf(text, bytes, "backend '%s'", ((const tn_backend *)item)->def.name);
}

static int order_passes(const void *a, const void *b)
{
    const tn_pass_def *x = &((const tn_pass *)a)->def, *y = &((const tn_pass *)b)->def;
    const int by_phase = (x->phase > y->phase) - (x->phase < y->phase);
    const int by_order = (x->order > y->order) - (x->order < y->order);
    return by_phase ? by_phase : by_order ? by_order : strcmp(x->name, y->name);
}
static bool same_pass(const void *a, const void *b)
{
    return strcmp(((const tn_pass *)a)->def.name, ((const tn_pass *)b)->def.name) == 0;
}
static void describe_pass(const void *item, char *text, size_t bytes)
{
    snprintf(text, bytes, "pass '%s'", ((const tn_pass *)item)->def.name);
}

static int order_formats(const void *a, const void *b)
{
    const uint32_t p = ((const tn_format *)a)->plugin->rank,
                   q = ((const tn_format *)b)->plugin->rank;
    return (p > q) - (p < q);
}
static bool same_format(const void *a, const void *b)
{
    return strcmp(((const tn_format *)a)->def.name, ((const tn_format *)b)->def.name) == 0;
}
static void describe_format(const void *item, char *text, size_t bytes)
{
    snprintf(text, bytes, "format '%s'", ((const tn_format *)item)->def.name);
}

enum { OPERATORS, KERNELS, BACKENDS, PASSES, FORMATS, KINDS };
#define KIND(table_name, type, word)                                                               \
    {                                                                                              \
        offsetof(tn_registry, table_name), offsetof(tn_batch, table_name),                         \
            offsetof(tn_plugin_info, word##_count), offsetof(type, plugin), same_##word,           \
            order_##table_name, describe_##word                                                    \
    }
static const kind kinds[KINDS] = {
    [OPERATORS] = KIND(operators, tn_operator, operator),
    [KERNELS] = KIND(kernels, tn_kernel, kernel),
    [BACKENDS] = KIND(backends, tn_backend, backend),
    [PASSES] = KIND(passes, tn_pass, pass),
    [FORMATS] = KIND(formats, tn_format, format),
};

static tn_list *list_at(void *owner, size_t offset)
{
    return (tn_list *)(void *)((char *)owner + offset);
}
static tn_plugin_slot *owner_of(const kind *k, const void *item)
{
    return *(tn_plugin_slot *const *)(const void *)((const char *)item + k->owner);
}

/* ---- into the batch ---------------------------------------------------------------------------- */

static void leave_out(tn_batch *batch, const kind *k, const void *item, const tn_plugin_slot *ahead)
{
    char text[256];
    k->describe(item, text, sizeof text);
    if (batch->left_out_count++ < 8)
        tn_add(&batch->left_out, "%s%s (%s is ahead)", batch->left_out_count > 1 ? "; " : "", text,
               ahead->plugin.info.file);
}

/* Takes an item into the batch, unless another plugin that is ahead has the same. */
static tn_status admit(tn_batch *batch, tn_call *call, const kind *k, void *item)
{
    const tn_list *table = list_at(batch->registry, k->table);
    tn_list *pending = list_at(batch, k->batch);
    char text[256];
    for (uint32_t i = 0; i < pending->count; i++)
        if (k->same(pending->items[i], item)) {
            k->describe(item, text, sizeof text);
            return tn_frame_fail(tn_frame_of(call), TN_ERR_DUPLICATE, "%s is registered twice",
                                 text);
        }
    for (uint32_t i = 0; i < table->count; i++) {
        const tn_plugin_slot *other = owner_of(k, table->items[i]);
        if (other == batch->slot || !k->same(table->items[i], item))
            continue;
        if (other->plugin.rank == batch->slot->plugin.rank) {
            k->describe(item, text, sizeof text);
            return tn_frame_fail(
                tn_frame_of(call), TN_ERR_DUPLICATE,
                "%s is in %s, too; a plugin in a folder named earlier would be ahead", text,
                other->plugin.info.file);
        }
        if (other->plugin.rank < batch->slot->plugin.rank) {
            leave_out(batch, k, item, other);
            return TN_OK;
        }
    }
    if (!tn_list_insert(pending, pending->count, item))
        return tn_frame_fail(tn_frame_of(call), TN_ERR_MEMORY, "out of memory");
    return TN_OK;
}

/* ---- checks ------------------------------------------------------------------------------------ */

/* Records an error about a definition: "operator 'Name': infer is NULL". */
#define REFUSE(...) tn_frame_fail(tn_frame_of(&registrar->call), TN_ERR_ARGUMENT, __VA_ARGS__)

/* Copies what was given into a zeroed struct of the host's size. Structs of ABI 1.0 were never
 * smaller than `least`. */
static tn_status copy_def(tn_registrar *registrar, const char *type, const void *def, size_t least,
                          void *copy, size_t bytes)
{
    uint32_t size;
    if (!def)
        return REFUSE("%s is NULL", type);
    memcpy(&size, def, sizeof size);
    if (size < least)
        return REFUSE("%s.size is %" PRIu32 ", but ABI 1.0 has %zu", type, size, least);
    memcpy(copy, def, size < bytes ? size : bytes);
    return TN_OK;
}

static bool is_word(const char *text)
{
    if (!text || !*text)
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '_' && *text != '-' && *text != '.')
            return false;
    return true;
}

static const uint64_t all_types = TN_BIT(TN_DTYPE_COUNT) - TN_BIT(1);
static const uint32_t param_flags = TN_PARAM_OPTIONAL | TN_PARAM_VARIADIC | TN_PARAM_HETEROGENEOUS |
                                    TN_PARAM_SEQUENCE | TN_PARAM_OPTIONAL_TYPE |
                                    TN_PARAM_NOT_TENSOR;

static tn_status check_params(tn_registrar *registrar, const char *op, const char *what,
                              const tn_param_def *params, uint32_t count)
{
    if (count && !params)
        return REFUSE("operator '%s': %ss is NULL, but %s_count is %" PRIu32, op, what, what,
                      count);
    for (uint32_t k = 0; k < count; k++) {
        const tn_param_def *p = &params[k];
        if (!p->name || !*p->name)
            return REFUSE("operator '%s': %s %" PRIu32 " has no name", op, what, k);
        if (!p->types)
            return REFUSE("operator '%s': %s '%s' has no types", op, what, p->name);
        if (p->types & ~all_types)
            return REFUSE("operator '%s': %s '%s' has unknown types 0x%" PRIx64
                          "; known are 0x%" PRIx64,
                          op, what, p->name, p->types & ~all_types, all_types);
        if (p->flags & ~param_flags)
            return REFUSE("operator '%s': %s '%s' has unknown flags 0x%" PRIx32, op, what, p->name,
                          p->flags & ~param_flags);
        if ((p->flags & TN_PARAM_VARIADIC) && k + 1 < count)
            return REFUSE("operator '%s': %s '%s' is variadic, but not the last", op, what,
                          p->name);
        if ((p->flags & TN_PARAM_NOT_TENSOR) &&
            !(p->flags & (TN_PARAM_SEQUENCE | TN_PARAM_OPTIONAL_TYPE)))
            return REFUSE("operator '%s': %s '%s' is no tensor, no sequence and no optional", op,
                          what, p->name);
    }
    return TN_OK;
}

static bool is_attribute_type(uint32_t type)
{
    return (type >= TN_ATTR_FLOAT && type <= TN_ATTR_GRAPHS) || type == TN_ATTR_TYPE ||
           type == TN_ATTR_TYPES;
}

static tn_status check_attribute(tn_registrar *registrar, const char *op, const tn_attribute_def *a,
                                 uint32_t k)
{
    const bool has_default = a->flags & TN_ATTR_HAS_DEFAULT;
    if (!a->name || !*a->name)
        return REFUSE("operator '%s': attribute %" PRIu32 " has no name", op, k);
    if (!is_attribute_type(a->type))
        return REFUSE("operator '%s': attribute '%s' has unknown type %" PRIu32, op, a->name,
                      a->type);
    if (a->flags & ~(uint32_t)(TN_ATTR_REQUIRED | TN_ATTR_HAS_DEFAULT))
        return REFUSE("operator '%s': attribute '%s' has unknown flags 0x%" PRIx32, op, a->name,
                      a->flags);
    if (has_default && (a->flags & TN_ATTR_REQUIRED))
        return REFUSE("operator '%s': attribute '%s' is required and has a default", op, a->name);
    if (has_default && a->type != TN_ATTR_INT && a->type != TN_ATTR_FLOAT &&
        a->type != TN_ATTR_STRING && a->type != TN_ATTR_INTS && a->type != TN_ATTR_FLOATS &&
        a->type != TN_ATTR_STRINGS)
        return REFUSE("operator '%s': attribute '%s' is of a type that has no default", op,
                      a->name);
    if (has_default && a->type == TN_ATTR_STRING && !a->s)
        return REFUSE("operator '%s': attribute '%s' has a default, but s is NULL", op, a->name);
    if (has_default && a->type == TN_ATTR_INTS && a->ints_count && !a->ints)
        return REFUSE("operator '%s': attribute '%s' has a default, but ints is NULL", op, a->name);
    return TN_OK;
}

static tn_status check_attributes(tn_registrar *registrar, const tn_operator_def *def)
{
    if (def->attribute_count && !def->attributes)
        return REFUSE("operator '%s': attributes is NULL, but attribute_count is %u", def->name,
                      (unsigned)def->attribute_count);
    for (uint32_t k = 0; k < def->attribute_count; k++) {
        TN_TRY(check_attribute(registrar, def->name, &def->attributes[k], k));
        for (uint32_t j = 0; j < k; j++)
            if (strcmp(def->attributes[j].name, def->attributes[k].name) == 0)
                return REFUSE("operator '%s': attribute '%s' stands there twice", def->name,
                              def->attributes[k].name);
    }
    return TN_OK;
}

static tn_batch *batch_of(tn_registrar *registrar)
{
    tn_frame *frame = tn_frame_of(&registrar->call);
    return frame->magic == TN_FRAME_MAGIC && frame->stage == TN_STAGE_LOAD ? frame->room : NULL;
}

static void *new_item(tn_registrar *registrar, size_t bytes)
{
    void *item = tn_pool_alloc(&batch_of(registrar)->registry->pool, bytes);
    if (!item)
        tn_frame_fail(tn_frame_of(&registrar->call), TN_ERR_MEMORY, "out of memory");
    return item;
}

#define ITEM(type)                                                                                 \
    tn_batch *batch = batch_of(registrar);                                                         \
    type *item = batch ? new_item(registrar, sizeof(type)) : NULL;                                 \
    if (!item)                                                                                     \
    return batch ? TN_ERR_MEMORY : TN_ERR_STATE
/* Sizes in ABI 1.0. A later minor that makes a struct grow writes the number here. */
#define COPY(type) TN_TRY(copy_def(registrar, #type, def, sizeof(type), &item->def, sizeof(type)))

static tn_status add_operator(tn_registrar *registrar, const tn_operator_def *def)
{
    ITEM(tn_operator);
    tn_operator_def *d = &item->def;
    COPY(tn_operator_def);
    d->size = sizeof *d;
    d->domain = tn_text_or(d->domain, "");
    if (!d->name || !*d->name)
        return REFUSE("an operator of domain '%s' has no name", d->domain);
    if (!d->since)
        return REFUSE("operator '%s': since is 0; the first operator set is 1", d->name);
    if (d->accepts_from > d->since)
        return REFUSE("operator '%s': accepts_from is %u, after since, which is %" PRIu32, d->name,
                      (unsigned)d->accepts_from, d->since);
    if (!d->infer)
        return REFUSE("operator '%s': infer is NULL", d->name);
    TN_TRY(check_params(registrar, d->name, "input", d->inputs, d->input_count));
    TN_TRY(check_params(registrar, d->name, "output", d->outputs, d->output_count));
    TN_TRY(check_attributes(registrar, d));
    item->plugin = &batch->slot->plugin;
    return admit(batch, &registrar->call, &kinds[OPERATORS], item);
}

static tn_status add_kernel(tn_registrar *registrar, const tn_kernel_def *def)
{
    ITEM(tn_kernel);
    tn_kernel_def *d = &item->def;
    COPY(tn_kernel_def);
    d->size = sizeof *d;
    d->domain = tn_text_or(d->domain, "");
    d->backend = tn_text_or(d->backend, "reference");
    if (!d->op || !*d->op)
        return REFUSE("a kernel on '%s' has no op", d->backend);
    if (!is_word(d->backend))
        return REFUSE("kernel of '%s': '%s' is no name of a backend", d->op, d->backend);
    if (!d->run)
        return REFUSE("kernel of '%s' on '%s': run is NULL", d->op, d->backend);
    if (d->until && d->until < d->since)
        return REFUSE("kernel of '%s' on '%s': until is %" PRIu32
                      ", before since, which is %" PRIu32,
                      d->op, d->backend, d->until, d->since);
    if (d->types & ~all_types)
        return REFUSE("kernel of '%s' on '%s' has unknown types 0x%" PRIx64
                      "; known are 0x%" PRIx64,
                      d->op, d->backend, d->types & ~all_types, all_types);
    item->plugin = &batch->slot->plugin;
    return admit(batch, &registrar->call, &kinds[KERNELS], item);
}

static tn_status add_backend(tn_registrar *registrar, const tn_backend_def *def)
{
    ITEM(tn_backend);
    tn_backend_def *d = &item->def;
    COPY(tn_backend_def);
    d->size = sizeof *d;
    if (!is_word(d->name))
        return REFUSE("a backend's name is '%s'; it may have letters, digits, '_', '-' and '.'",
                      tn_text_or(d->name, ""));
    d->build = tn_text_or(d->build, "");
    item->plugin = &batch->slot->plugin;
    item->status = TN_ERR_STATE;
    item->description = "";
    item->reason = "";
    return admit(batch, &registrar->call, &kinds[BACKENDS], item);
}

static tn_status add_pass(tn_registrar *registrar, const tn_pass_def *def)
{
    ITEM(tn_pass);
    tn_pass_def *d = &item->def;
    COPY(tn_pass_def);
    d->size = sizeof *d;
    if (!is_word(d->name))
        return REFUSE("a pass's name is '%s'; it may have letters, digits, '_', '-' and '.'",
                      tn_text_or(d->name, ""));
    if (d->phase < TN_PHASE_CLEAN || d->phase > TN_PHASE_LATE)
        return REFUSE("pass '%s': phase is %" PRIu32 "; phases are 1 to %d", d->name, d->phase,
                      TN_PHASE_LATE);
    if (d->exactness > TN_EXACT_APPROXIMATE)
        return REFUSE("pass '%s': exactness is %" PRIu32 "; it is 0 to %d", d->name, d->exactness,
                      TN_EXACT_APPROXIMATE);
    if (!d->match)
        return REFUSE("pass '%s': match is NULL", d->name);
    item->plugin = &batch->slot->plugin;
    return admit(batch, &registrar->call, &kinds[PASSES], item);
}

static tn_status add_format(tn_registrar *registrar, const tn_format_def *def)
{
    ITEM(tn_format);
    tn_format_def *d = &item->def;
    COPY(tn_format_def);
    d->size = sizeof *d;
    if (!is_word(d->name))
        return REFUSE("a format's name is '%s'; it may have letters, digits, '_', '-' and '.'",
                      tn_text_or(d->name, ""));
    if (!d->extension && !d->sniff)
        return REFUSE("format '%s': extension and sniff are NULL: nothing tells its files",
                      d->name);
    if (d->extension && (d->extension[0] != '.' || !d->extension[1]))
        return REFUSE("format '%s': extension is '%s', which does not begin with '.'", d->name,
                      d->extension);
    if (!d->read && !d->write)
        return REFUSE("format '%s': read and write are NULL", d->name);
    item->plugin = &batch->slot->plugin;
    return admit(batch, &registrar->call, &kinds[FORMATS], item);
}

const tn_registrar tn_registrar_functions = {
    .add_operator = add_operator,
    .add_kernel = add_kernel,
    .add_backend = add_backend,
    .add_pass = add_pass,
    .add_format = add_format,
};

/* ---- into the tables --------------------------------------------------------------------------- */

/* Sessions may still use what leaves a table: operators by their bodies, opened backends. */
static tn_list *retired_of(tn_registry *registry, const kind *k)
{
    return k == &kinds[OPERATORS]  ? &registry->retired
           : k == &kinds[BACKENDS] ? &registry->closing
                                   : NULL;
}

/* What others offer and this plugin, being ahead, offers instead leaves the table. */
static bool replace_others(tn_batch *batch, const kind *k, const void *item)
{
    tn_list *table = list_at(batch->registry, k->table);
    for (uint32_t i = table->count; i-- > 0;) {
        void *old = table->items[i];
        tn_plugin_slot *other = owner_of(k, old);
        char text[256];
        if (other == batch->slot || !k->same(old, item))
            continue;
        tn_list *retired = retired_of(batch->registry, k);
        if (retired && !tn_list_insert(retired, retired->count, old))
            return false;
        tn_list_remove(table, i);
        k->describe(item, text, sizeof text);
        const size_t count = strlen(text);
        snprintf(text + count, sizeof text - count, " (%s is ahead)",
                 batch->slot->plugin.info.file);
        tn_slot_note(batch->registry, other, text);
        --*(uint32_t *)(void *)((char *)&other->plugin.info + k->counter);
    }
    return true;
}

static bool insert(tn_batch *batch, const kind *k, void *item)
{
    tn_list *table = list_at(batch->registry, k->table);
    uint32_t at = table->count;
    while (at > 0 && k->compare(table->items[at - 1], item) > 0)
        at--;
    ++*(uint32_t *)(void *)((char *)&batch->slot->plugin.info + k->counter);
    return tn_list_insert(table, at, item);
}

static void link_kernels(tn_registry *registry)
{
    for (uint32_t k = 0; k < registry->kernels.count; k++) {
        tn_kernel *kernel = registry->kernels.items[k];
        tn_backend *own = NULL;
        for (uint32_t b = 0; b < registry->backends.count; b++) {
            tn_backend *backend = registry->backends.items[b];
            if (strcmp(backend->def.name, kernel->def.backend) == 0)
                own = backend;
        }
        if (kernel->backend != own) /* others may be reading those that stay as they are */
            kernel->backend = own;
    }
}

/* Room for everything first, so that nothing is half done when memory is short. */
static bool reserve(tn_list *list, uint32_t more)
{
    while (list->capacity - list->count < more) {
        const uint32_t count = list->count;
        list->count = list->capacity;
        const bool grown = TN_GROW(list);
        list->count = count;
        if (!grown)
            return false;
    }
    return true;
}

static bool reserve_all(tn_batch *batch)
{
    for (uint32_t k = 0; k < KINDS; k++) {
        const uint32_t more = list_at(batch, kinds[k].batch)->count;
        tn_list *retired = retired_of(batch->registry, &kinds[k]);
        if (!reserve(list_at(batch->registry, kinds[k].table), more) ||
            (retired && !reserve(retired, more)))
            return false;
    }
    return true;
}

tn_status tn_batch_commit(tn_batch *batch)
{
    tn_registry *registry = batch->registry;
    pthread_rwlock_wrlock(&registry->tables);
    bool fine = reserve_all(batch);
    for (uint32_t k = 0; fine && k < KINDS; k++) {
        const tn_list *pending = list_at(batch, kinds[k].batch);
        for (uint32_t i = 0; fine && i < pending->count; i++)
            fine = replace_others(batch, &kinds[k], pending->items[i]) &&
                   insert(batch, &kinds[k], pending->items[i]);
    }
    link_kernels(registry);
    pthread_rwlock_unlock(&registry->tables);
    if (!fine)
        return tn_raise_memory();
    if (batch->left_out_count > 8)
        tn_add(&batch->left_out, "; and %" PRIu32 " more", batch->left_out_count - 8);
    if (batch->left_out_count)
        tn_slot_note(registry, batch->slot, tn_builder_text(&batch->left_out));
    return TN_OK;
}

void tn_batch_fini(tn_batch *batch)
{
    for (uint32_t k = 0; k < KINDS; k++)
        tn_free(list_at(batch, kinds[k].batch)->items);
    tn_builder_fini(&batch->left_out);
}
