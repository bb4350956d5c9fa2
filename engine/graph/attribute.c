/* engine/graph/attribute.c: attributes as shared, immutable blocks, and lists of them.
 *
 * A block holds the attribute and all it points to: it is measured first, then filled, by the same
 * code. What comes in is checked here: counts, element types, sizes.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/graph/internal.h"

/* ---- copying into one block ---------------------------------------------------------------- */

/* Hands out pieces of a block; without a block it only counts. */
typedef struct writer {
    char *base;
    size_t used;
    bool overflow;
} writer;

static void *take(writer *w, size_t count, size_t size)
{
    size_t bytes, end;
    if (!tn_size_mul(count, size, &bytes) || w->used > SIZE_MAX / 2 ||
        !tn_size_add(tn_align(w->used, 16), bytes, &end) || end > PTRDIFF_MAX) {
        w->overflow = true;
        return NULL;
    }
    char *piece = w->base ? w->base + tn_align(w->used, 16) : NULL;
    w->used = end;
    return piece;
}

static void *copy(writer *w, const void *from, size_t count, size_t size)
{
    void *piece = take(w, count, size);
    if (piece && count)
        memcpy(piece, from, count * size);
    return piece;
}

static tn_text copy_text(writer *w, tn_text from)
{
    char *bytes = take(w, from.count, 1);
    take(w, 1, 16); /* the zero; pieces are padded, so this is the same place or beyond */
    if (!bytes)
        return (tn_text){ NULL, 0 };
    if (from.count)
        memcpy(bytes, from.bytes, from.count);
    bytes[from.count] = 0;
    return (tn_text){ bytes, from.count };
}

static tn_text *copy_texts(writer *w, const tn_text *from, size_t count)
{
    tn_text *texts = take(w, count, sizeof *texts);
    for (size_t k = 0; k < count; k++) {
        tn_text text = copy_text(w, from[k]);
        if (texts)
            texts[k] = text;
    }
    return texts;
}

tn_status tn_tensor_check(const tn_tensor *tensor, size_t *bytes)
{
    if (!tensor)
        return tn_raise(TN_ERR_ARGUMENT, "the tensor is NULL");
    if (tensor->kind)
        return tn_raise(TN_ERR_TYPE, "a sequence or optional stands where a tensor is expected");
    if (tensor->strides || tensor->layout != TN_LAYOUT_PLAIN)
        return tn_raise(TN_ERR_ARGUMENT, "the tensor is not plain and dense");
    if (tensor->rank < 0 || tensor->rank > TN_MAX_RANK)
        return tn_raise(TN_ERR_SHAPE, "rank is %" PRId32 ", which is outside [0, %d]", tensor->rank,
                        TN_MAX_RANK);
    if (tensor->rank && !tensor->dims)
        return tn_raise(TN_ERR_ARGUMENT, "the tensor has rank %" PRId32 ", but dims is NULL",
                        tensor->rank);
    TN_TRY(tn_shape_bytes(tensor->dtype, tensor->rank, tensor->dims, bytes));
    if (*bytes && !tensor->data)
        return tn_raise(TN_ERR_ARGUMENT, "the tensor has elements, but data is NULL");
    if (tensor->bytes < *bytes)
        return tn_raise(TN_ERR_SHAPE, "the tensor has %zu bytes, but its shape needs %zu",
                        tensor->bytes, *bytes);
    return TN_OK;
}

/* The tensor was checked. */
static tn_tensor copy_tensor(writer *w, const tn_tensor *from)
{
    size_t bytes = 0;
    tn_tensor tensor = { .size = sizeof tensor, .dtype = from->dtype, .rank = from->rank };
    if (tn_tensor_check(from, &bytes) != TN_OK)
        w->overflow = true;
    tensor.bytes = bytes;
    tensor.dims = copy(w, from->dims, (size_t)from->rank, sizeof *tensor.dims);
    if (from->dtype == TN_STRING)
        tensor.data = copy_texts(w, from->data, bytes / sizeof(tn_text));
    else
        tensor.data = copy(w, from->data, bytes, 1);
    return tensor;
}

static tn_tensor *copy_tensors(writer *w, const tn_tensor *from, size_t count)
{
    tn_tensor *tensors = take(w, count, sizeof *tensors);
    for (size_t k = 0; k < count; k++) {
        tn_tensor tensor = copy_tensor(w, &from[k]);
        if (tensors)
            tensors[k] = tensor;
    }
    return tensors;
}

/* Everything but the name. Members that `type` does not name stay zero. */
static void copy_contents(writer *w, const tn_attribute *from, tn_attribute *to)
{
    const size_t count = from->count;
    *to = (tn_attribute){ .size = sizeof *to, .type = from->type };
    switch (from->type) {
    case TN_ATTR_FLOAT: to->f = from->f; return;
    case TN_ATTR_INT: to->i = from->i; return;
    case TN_ATTR_REF:
    case TN_ATTR_STRING: to->s = copy_text(w, from->s); return;
    case TN_ATTR_TENSOR: to->tensors = copy_tensors(w, from->tensors, 1); break;
    case TN_ATTR_GRAPH: to->regions = copy(w, from->regions, 1, sizeof *to->regions); break;
    case TN_ATTR_TYPE: to->types = copy(w, from->types, 1, sizeof *to->types); break;
    case TN_ATTR_FLOATS: to->floats = copy(w, from->floats, count, sizeof *to->floats); break;
    case TN_ATTR_INTS: to->ints = copy(w, from->ints, count, sizeof *to->ints); break;
    case TN_ATTR_STRINGS: to->strings = copy_texts(w, from->strings, count); break;
    case TN_ATTR_TENSORS: to->tensors = copy_tensors(w, from->tensors, count); break;
    case TN_ATTR_GRAPHS: to->regions = copy(w, from->regions, count, sizeof *to->regions); break;
    case TN_ATTR_TYPES: to->types = copy(w, from->types, count, sizeof *to->types); break;
    default: return;
    }
    to->count = from->type == TN_ATTR_TENSOR || from->type == TN_ATTR_GRAPH ||
                        from->type == TN_ATTR_TYPE
                    ? 1
                    : count;
}

/* ---- checks ------------------------------------------------------------------------------ */

tn_status tn_type_check(const tn_type *type)
{
    if (type->rank < -1 || type->rank > TN_MAX_RANK)
        return tn_raise(TN_ERR_SHAPE, "rank is %" PRId32 ", which is outside [0, %d]", type->rank,
                        TN_MAX_RANK);
    if (type->dtype >= TN_DTYPE_COUNT)
        return tn_raise(TN_ERR_TYPE, "%" PRIu32 " is no element type", type->dtype);
    for (uint32_t kind = type->kind; kind; kind >>= 4)
        if ((kind & 15) != TN_SEQUENCE && (kind & 15) != TN_OPTIONAL)
            return tn_raise(TN_ERR_TYPE, "%" PRIu32 " is no kind of value", type->kind);
    return TN_OK;
}

/* The array that `type` names; *elements is how many it must have. */
static const void *array_of(const tn_attribute *a, size_t *elements)
{
    *elements = a->count;
    switch (a->type) {
    case TN_ATTR_STRING:
    case TN_ATTR_REF: *elements = a->s.count; return a->s.bytes;
    case TN_ATTR_TENSOR: *elements = 1; return a->tensors;
    case TN_ATTR_GRAPH: *elements = 1; return a->regions;
    case TN_ATTR_TYPE: *elements = 1; return a->types;
    case TN_ATTR_FLOATS: return a->floats;
    case TN_ATTR_INTS: return a->ints;
    case TN_ATTR_STRINGS: return a->strings;
    case TN_ATTR_TENSORS: return a->tensors;
    case TN_ATTR_GRAPHS: return a->regions;
    case TN_ATTR_TYPES: return a->types;
    default: *elements = 0; return NULL;
    }
}

static tn_status check(const tn_attribute *a)
{
    size_t elements, bytes;
    if (!a || !a->name || !*a->name)
        return tn_raise(TN_ERR_ARGUMENT, "an attribute has no name");
    if (a->type > TN_ATTR_GRAPHS && a->type != TN_ATTR_TYPE && a->type != TN_ATTR_TYPES &&
        a->type != TN_ATTR_REF)
        return tn_raise(TN_ERR_ARGUMENT, "attribute '%s' has type %" PRIu32 ", which is none",
                        a->name, a->type);
    if (!array_of(a, &elements) && elements)
        return tn_raise(TN_ERR_ARGUMENT, "attribute '%s' says %zu elements, but points to none",
                        a->name, elements);
    for (size_t k = 0; a->type == TN_ATTR_STRINGS && k < elements; k++)
        if (!a->strings[k].bytes && a->strings[k].count)
            return tn_raise(TN_ERR_ARGUMENT, "text %zu of attribute '%s' is NULL", k, a->name);
    const bool tensors = a->type == TN_ATTR_TENSOR || a->type == TN_ATTR_TENSORS;
    for (size_t k = 0; tensors && k < elements; k++) {
        tn_status status = tn_tensor_check(&a->tensors[k], &bytes);
        if (status != TN_OK)
            return tn_raise_at(status, "attribute '%s'", a->name);
    }
    const bool types = a->type == TN_ATTR_TYPE || a->type == TN_ATTR_TYPES;
    for (size_t k = 0; types && k < elements; k++) {
        tn_status status = tn_type_check(&a->types[k]);
        if (status != TN_OK)
            return tn_raise_at(status, "attribute '%s'", a->name);
    }
    return TN_OK;
}

/* ---- boxes ------------------------------------------------------------------------------- */

tn_status tn_attribute_box_create(tn_texts *texts, const tn_attribute *attribute,
                                  tn_attribute_box **out)
{
    TN_TRY(check(attribute));
    const char *name = tn_texts_intern(texts, attribute->name);
    writer w = { 0 };
    tn_attribute measured;
    take(&w, 1, sizeof(tn_attribute_box));
    copy_contents(&w, attribute, &measured);
    if (w.overflow)
        return tn_raise(TN_ERR_LIMIT, "attribute '%s' does not fit memory", attribute->name);
    tn_attribute_box *box = name ? tn_alloc(1, w.used) : NULL;
    if (!box)
        return tn_raise_memory();
    w = (writer){ .base = (char *)box };
    take(&w, 1, sizeof *box);
    copy_contents(&w, attribute, &box->attribute);
    box->attribute.name = name;
    atomic_init(&box->references, 1);
    *out = box;
    return TN_OK;
}

tn_attribute_box *tn_attribute_box_ref(tn_attribute_box *box)
{
    atomic_fetch_add_explicit(&box->references, 1, memory_order_relaxed);
    return box;
}

void tn_attribute_box_unref(tn_attribute_box *box)
{
    if (box && atomic_fetch_sub_explicit(&box->references, 1, memory_order_acq_rel) == 1)
        tn_free(box);
}

/* ---- lists ------------------------------------------------------------------------------- */

tn_attribute_list *tn_attribute_list_create(uint32_t count)
{
    const size_t slots = sizeof(tn_attribute_slot) * (size_t)count;
    tn_attribute_list *list = tn_alloc(1,
                                       sizeof *list + slots + sizeof(tn_attribute) * (size_t)count);
    if (list)
        list->items = (tn_attribute *)(void *)((char *)(list + 1) + slots);
    return list;
}

void tn_attribute_list_add(tn_attribute_list *list, tn_attribute_box *box, bool is_default)
{
    list->items[list->count] = box->attribute;
    list->slots[list->count++] = (tn_attribute_slot){ box, is_default };
}

void tn_attribute_list_destroy(tn_attribute_list *list)
{
    for (uint32_t k = 0; list && k < list->count; k++)
        tn_attribute_box_unref(list->slots[k].box);
    tn_free(list);
}

tn_attribute_list *tn_attribute_list_copy(const tn_attribute_list *list)
{
    tn_attribute_list *copied = tn_attribute_list_create(list->count);
    for (uint32_t k = 0; copied && k < list->count; k++)
        tn_attribute_list_add(copied, tn_attribute_box_ref(list->slots[k].box),
                              list->slots[k].is_default);
    return copied;
}

bool tn_attribute_has_region(const tn_attribute *attribute, tn_region_id region)
{
    const tn_region_id *regions;
    const uint32_t count = tn_attribute_regions(attribute, &regions);
    for (uint32_t k = 0; k < count; k++)
        if (regions[k] == region)
            return true;
    return false;
}

/* ---- attributes of a node ----------------------------------------------------------------- */

static int32_t index_of(const tn_attribute_list *list, const char *name)
{
    for (uint32_t k = 0; list && k < list->count; k++)
        if (!strcmp(list->items[k].name, name))
            return (int32_t)k;
    return -1;
}

/* Bodies that only the replaced attribute named go. */
static tn_status erase_replaced(tn_graph *graph, const tn_attribute *old, const tn_attribute *now)
{
    const tn_region_id *regions;
    const uint32_t count = tn_attribute_regions(old, &regions);
    for (uint32_t k = 0; k < count; k++)
        if ((!now || !tn_attribute_has_region(now, regions[k])) &&
            tn_find_region(graph, regions[k]))
            TN_TRY(tn_erase_region(graph, regions[k]));
    return TN_OK;
}

/* The list with attribute `at` replaced by `box` (NULL: left out), or with `box` at the end when
 * `at` is -1. Takes the box's reference in any case. */
static tn_status rebuild(tn_graph *graph, tn_node *node, int32_t at, tn_attribute_box *box,
                         bool is_default)
{
    const tn_attribute_list *old = node->attributes;
    const uint32_t count = old ? old->count : 0;
    tn_attribute_list *list = count < ATTRIBUTE_LIMIT || at >= 0
                                  ? tn_attribute_list_create(count + 1)
                                  : NULL;
    if (!list) {
        tn_attribute_box_unref(box);
        return count < ATTRIBUTE_LIMIT || at >= 0
                   ? tn_raise_memory()
                   : tn_raise(TN_ERR_LIMIT, "the node has more than %d attributes",
                              ATTRIBUTE_LIMIT);
    }
    for (uint32_t k = 0; k < count; k++)
        if ((int32_t)k != at)
            tn_attribute_list_add(list, tn_attribute_box_ref(old->slots[k].box),
                                  old->slots[k].is_default);
        else if (box)
            tn_attribute_list_add(list, box, is_default);
    if (at < 0)
        tn_attribute_list_add(list, box, is_default);
    return tn_change_attributes(graph, node, list);
}

static tn_status set_attribute(tn_graph *graph, tn_node *node, const tn_attribute *attribute,
                               bool is_default)
{
    tn_attribute_box *box;
    TN_TRY(tn_attribute_box_create(graph->texts, attribute, &box));
    const int32_t at = index_of(node->attributes, attribute->name);
    tn_status status = TN_OK;
    if (at >= 0)
        status = erase_replaced(graph, &node->attributes->items[at], &box->attribute);
    if (status == TN_OK)
        status = tn_claim_regions(graph, node, &box->attribute);
    if (status != TN_OK) {
        tn_attribute_box_unref(box);
        return status;
    }
    return rebuild(graph, node, at, box, is_default);
}

/* What a plugin of another minor gave, as ours: at most its own size is read. */
static tn_status adopt(const tn_attribute *attribute, tn_attribute *out)
{
    if (!attribute)
        return tn_raise(TN_ERR_ARGUMENT, "the attribute is NULL");
    const size_t known = attribute->size && attribute->size < sizeof *out ? attribute->size
                                                                          : sizeof *out;
    *out = (tn_attribute){ 0 };
    memcpy(out, attribute, known);
    return TN_OK;
}

tn_status tn_graph_set_attribute(tn_graph *graph, tn_node_id id, const tn_attribute *attribute)
{
    tn_node *node;
    tn_attribute own;
    TN_TRY(tn_need_node(graph, id, &node));
    TN_TRY(adopt(attribute, &own));
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, set_attribute(graph, node, &own, false));
}

tn_status tn_graph_set_default_attribute(tn_graph *graph, tn_node_id id,
                                         const tn_attribute *attribute)
{
    tn_node *node;
    TN_TRY(tn_need_node(graph, id, &node));
    if (!attribute || !attribute->name)
        return tn_raise(TN_ERR_ARGUMENT, "an attribute has no name");
    const int32_t at = index_of(node->attributes, attribute->name);
    if (at >= 0 && !node->attributes->slots[at].is_default)
        return TN_OK;
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, set_attribute(graph, node, attribute, true));
}

bool tn_graph_attribute_is_default(const tn_graph *graph, tn_node_id id, const char *name)
{
    const tn_node *node = tn_find_node(graph, id);
    const int32_t at = node ? index_of(node->attributes, name) : -1;
    return at >= 0 && node->attributes->slots[at].is_default;
}

static tn_status drop_attribute(tn_graph *graph, tn_node *node, int32_t at)
{
    TN_TRY(erase_replaced(graph, &node->attributes->items[at], NULL));
    return rebuild(graph, node, at, NULL, false);
}

tn_status tn_graph_drop_attribute(tn_graph *graph, tn_node_id id, const char *name)
{
    tn_node *node;
    TN_TRY(tn_need_node(graph, id, &node));
    const int32_t at = name ? index_of(node->attributes, name) : -1;
    if (at < 0)
        return tn_raise(TN_ERR_NAME, "node '%s' has no attribute '%s'", node->view.name,
                        name ? name : "");
    uint32_t mark = tn_edit_begin(graph);
    return tn_edit_end(graph, mark, drop_attribute(graph, node, at));
}

/* Without the defaults that its old schema gave. */
static tn_status drop_defaults(tn_graph *graph, tn_node *node)
{
    const tn_attribute_list *old = node->attributes;
    tn_attribute_list *list = tn_attribute_list_create(old ? old->count : 0);
    if (!list)
        return tn_raise_memory();
    for (uint32_t k = 0; old && k < old->count; k++)
        if (!old->slots[k].is_default)
            tn_attribute_list_add(list, tn_attribute_box_ref(old->slots[k].box), false);
    return tn_change_attributes(graph, node, list);
}

tn_status tn_graph_set_operator(tn_graph *graph, tn_node_id id, const char *domain, const char *op)
{
    tn_node *node;
    const char *empty;
    TN_TRY(tn_need_node(graph, id, &node));
    if (!op || !*op)
        return tn_raise(TN_ERR_ARGUMENT, "the operator of node '%s' is empty", node->view.name);
    TN_TRY(tn_intern_to(graph, domain, &domain));
    TN_TRY(tn_intern_to(graph, op, &op));
    TN_TRY(tn_intern_to(graph, "", &empty));
    uint32_t mark = tn_edit_begin(graph);
    tn_status status = drop_defaults(graph, node);
    if (status == TN_OK)
        status = tn_change_operator(graph, node, domain, op, empty);
    status = tn_edit_end(graph, mark, status);
    if (status == TN_OK)
        tn_graph_set_schema(graph, id, NULL, 0);
    return status;
}
