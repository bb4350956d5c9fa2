/* Values made while running: tensors, sequences and optionals, reference-counted.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/run/run.h"
#include "tenon/kernel.h"

enum { ALIGNMENT = 64 };

static void object_init(tn_object *object)
{
    object->magic = TN_OBJECT_MAGIC;
    object->refs = 1;
    object->tensor.size = sizeof object->tensor;
    object->tensor.dims = object->dims;
}

static tn_object *object_create(void)
{
    tn_object *object = tn_alloc(1, sizeof *object);
    if (object)
        object_init(object);
    return object;
}

static void set_type(tn_object *object, uint32_t dtype, int32_t rank, const int64_t *dims)
{
    object->tensor.dtype = dtype;
    object->tensor.rank = rank;
    if (rank > 0)
        memcpy(object->dims, dims, (size_t)rank * sizeof *dims);
}

/* The elements lie behind the object, in one block. */
static size_t head_bytes(void)
{
    return tn_align(sizeof(tn_object), ALIGNMENT);
}

tn_status tn_object_create(const tn_type *type, tn_object **out)
{
    const size_t head = head_bytes();
    size_t bytes, whole;
    TN_TRY(tn_shape_bytes(type->dtype, type->rank, type->dims, &bytes));
    if (!tn_size_add(head, bytes ? bytes : 1, &whole))
        return tn_raise_memory();
    tn_object *object = tn_alloc_aligned(whole, ALIGNMENT);
    if (!object)
        return tn_raise_memory();
    memset(object, 0, sizeof *object);
    object_init(object);
    set_type(object, type->dtype, type->rank, type->dims);
    object->tensor.data = (char *)object + head;
    object->tensor.bytes = bytes;
    *out = object;
    return TN_OK;
}

/* Element by element, in row-major order, from wherever strides lead. */
static void gather(const tn_tensor *from, void *to)
{
    const size_t size = tn_dtype_bytes(from->dtype, 1);
    int64_t index[TN_MAX_RANK] = { 0 }, strides[1][TN_MAX_RANK] = { { 0 } }, offset[1] = { 0 };
    char *at = to;
    if (from->rank)
        memcpy(strides[0], from->strides, (size_t)from->rank * sizeof(int64_t));
    if (tn_count(from) == 0)
        return;
    do {
        memcpy(at, (const char *)from->data + offset[0] * (int64_t)size, size);
        at += size;
    } while (
        tn_next(from->rank, from->dims, index, 1, (const int64_t(*)[TN_MAX_RANK])strides, offset));
}

static tn_status copy_list(const tn_tensor *list, tn_object **out)
{
    const tn_object *from = tn_object_of(list);
    tn_object *made = NULL;
    TN_TRY(tn_object_list(list->kind, list->dtype, &made));
    for (uint32_t k = 0; from && k < from->count; k++) {
        tn_object *item = NULL;
        tn_status status = tn_object_copy(tn_value_get(list, k), &item);
        if (status == TN_OK)
            status = tn_object_insert(made, made->count, item);
        if (status != TN_OK) {
            tn_object_unref(made);
            return status;
        }
    }
    *out = made;
    return TN_OK;
}

tn_status tn_object_copy(const tn_tensor *tensor, tn_object **out)
{
    tn_object *object;
    if (tensor->kind)
        return copy_list(tensor, out);
    const tn_type type = tn_type_of_tensor(tensor);
    TN_TRY(tn_object_create(&type, &object));
    if (tensor->strides)
        gather(tensor, object->tensor.data);
    else if (object->tensor.bytes)
        memcpy(object->tensor.data, tensor->data, object->tensor.bytes);
    *out = object;
    return TN_OK;
}

tn_status tn_object_show(tn_object *base, const tn_type *type, tn_object **out)
{
    tn_object *object = object_create();
    if (!object)
        return tn_raise_memory();
    set_type(object, type->dtype, type->rank, type->dims);
    object->tensor.data = base->tensor.data;
    object->tensor.bytes = base->tensor.bytes;
    object->base = tn_object_ref(base);
    *out = object;
    return TN_OK;
}

tn_status tn_object_lend(const tn_tensor *tensor, const tn_type *type, tn_object **out)
{
    tn_object *object = object_create();
    if (!object)
        return tn_raise_memory();
    set_type(object, type->dtype, type->rank, type->dims);
    object->tensor.data = tensor->data;
    object->tensor.bytes = tensor->bytes;
    *out = object;
    return TN_OK;
}

void tn_copy_elements(uint32_t dtype, void *to, size_t to_index, const void *from,
                      size_t from_index, size_t count)
{
    const uint32_t bits = tn_dtype_bits(dtype);
    if (bits >= 8) {
        const size_t width = bits / 8;
        if (count)
            memcpy((char *)to + to_index * width, (const char *)from + from_index * width,
                   count * width);
        return;
    }
    for (size_t k = 0; k < count; k++)
        tn_packed_set(to, bits, (int64_t)(to_index + k),
                      tn_packed_get(from, bits, (int64_t)(from_index + k)));
}

tn_status tn_object_list(uint32_t kind, uint32_t dtype, tn_object **out)
{
    tn_object *object = object_create();
    if (!object)
        return tn_raise_memory();
    object->tensor.kind = kind;
    object->tensor.dtype = dtype;
    object->tensor.rank = -1;
    object->tensor.object = object;
    *out = object;
    return TN_OK;
}

/* ---- elements of lists -------------------------------------------------------------------------- */

/* Elements, shared by lists that differ at their ends only: each sees as many as it counts, and one
 * that counts all may append in place. So a loop that carries a sequence, which it holds itself
 * while its body makes the next one, does not copy it in each trip. */
struct tn_items {
    uint32_t refs, used, capacity;
    tn_object *items[];
};

static void items_unref(struct tn_items *block)
{
    if (!block || --block->refs)
        return;
    for (uint32_t k = 0; k < block->used; k++)
        tn_object_unref(block->items[k]);
    tn_free(block);
}

/* What stands behind the end of the only list is nobody's. */
static void trim(struct tn_items *block, uint32_t count)
{
    while (block->used > count)
        tn_object_unref(block->items[--block->used]);
}

/* A block of the list's own, with room for `room` elements; those it counts are there. */
static bool own_items(tn_object *list, uint32_t room)
{
    struct tn_items *old = list->list;
    const bool sole = old && old->refs == 1;
    const uint32_t capacity = room < 4 ? 4 : room < UINT32_MAX / 2 ? room * 2 : room;
    size_t bytes;
    if (sole)
        trim(old, list->count);
    if (sole && old->capacity >= room)
        return true;
    if (!tn_size_mul(capacity, sizeof *old->items, &bytes) ||
        !tn_size_add(bytes, sizeof *old, &bytes))
        return false;
    struct tn_items *made = tn_alloc(1, bytes);
    if (!made)
        return false;
    *made = (struct tn_items){ .refs = 1, .used = list->count, .capacity = capacity };
    for (uint32_t k = 0; k < list->count; k++)
        made->items[k] = sole ? old->items[k] : tn_object_ref(old->items[k]);
    if (sole)
        old->used = 0; /* they moved */
    items_unref(old);
    list->list = made;
    return true;
}

tn_status tn_object_insert(tn_object *list, int64_t at, tn_object *item)
{
    assert(at >= 0 && at <= list->count);
    struct tn_items *block = list->list;
    const bool append = block && at == list->count && block->used == list->count &&
                        block->used < block->capacity;
    if (list->count == UINT32_MAX || (!append && !own_items(list, list->count + 1))) {
        tn_object_unref(item);
        return tn_raise_memory();
    }
    block = list->list;
    memmove(block->items + at + 1, block->items + at,
            (list->count - (size_t)at) * sizeof *block->items);
    block->items[at] = item;
    block->used = ++list->count;
    return TN_OK;
}

tn_status tn_object_erase(tn_object *list, int64_t at)
{
    assert(at >= 0 && at < list->count);
    if (at == list->count - 1 && list->list->refs > 1) {
        list->count--; /* the others still see it */
        return TN_OK;
    }
    if (!own_items(list, list->count))
        return tn_raise_memory();
    struct tn_items *block = list->list;
    tn_object_unref(block->items[at]);
    block->used = --list->count;
    memmove(block->items + at, block->items + at + 1,
            (list->count - (size_t)at) * sizeof *block->items);
    return TN_OK;
}

/* ---- references --------------------------------------------------------------------------------- */

tn_object *tn_object_ref(tn_object *object)
{
    object->refs++;
    return object;
}

void tn_object_unref(tn_object *object)
{
    if (!object || --object->refs)
        return;
    items_unref(object->list);
    tn_object_unref(object->base);
    object->magic = 0;
    tn_free(object);
}

tn_status tn_object_to_constant(tn_object *object, tn_constant **out)
{
    const tn_tensor *tensor = &object->tensor;
    tn_buffer *buffer = NULL;
    const bool movable = object->refs == 1 && tensor->dtype != TN_STRING && tensor->bytes &&
                         tensor->data == (char *)object + head_bytes();
    tn_status status = TN_OK;
    if (movable)
        status = tn_buffer_wrap_block(object, tensor->data, tensor->bytes, &buffer);
    if (status == TN_OK)
        status = tn_constant_create(tensor, buffer, out);
    if (buffer)
        tn_buffer_unref(buffer);
    else
        tn_object_unref(object);
    return status;
}

tn_object *tn_object_of(const tn_tensor *tensor)
{
    tn_object *object = (tn_object *)((char *)(uintptr_t)tensor - offsetof(tn_object, tensor));
    if (tensor->kind)
        return tensor->object;
    assert(object->magic == TN_OBJECT_MAGIC);
    return object;
}

tn_status tn_object_own(tn_object *list, tn_object **out)
{
    tn_object *made = NULL;
    if (list->refs == 1) {
        *out = list;
        return TN_OK;
    }
    TN_TRY(tn_object_list(list->tensor.kind, list->tensor.dtype, &made));
    made->list = list->list;
    made->count = list->count;
    if (made->list)
        made->list->refs++;
    tn_object_unref(list);
    *out = made;
    return TN_OK;
}

/* ---- the embedding API ---------------------------------------------------------------------------- */

int64_t tn_value_count(const tn_tensor *value)
{
    return value && value->kind && value->object
               ? (int64_t)((const tn_object *)value->object)->count
               : -1;
}

const tn_tensor *tn_value_get(const tn_tensor *value, int64_t k)
{
    return k >= 0 && k < tn_value_count(value)
               ? &((const tn_object *)value->object)->list->items[k]->tensor
               : NULL;
}

/* Inside a list elements are plain tensors or lists: the innermost type stands on each of them. */
tn_status tn_value_create(uint32_t kind, const tn_tensor *const *elements, size_t count,
                          tn_tensor **out)
{
    tn_object *list = NULL;
    const uint32_t outer = kind & 15u;
    if (outer != TN_SEQUENCE && outer != TN_OPTIONAL)
        return tn_raise(TN_ERR_ARGUMENT, "kind %u is neither a sequence nor an optional", kind);
    if (outer == TN_OPTIONAL && count > 1)
        return tn_raise(TN_ERR_ARGUMENT, "an optional holds at most one element, not %zu", count);
    TN_TRY(tn_object_list(kind, count ? elements[0]->dtype : TN_UNDEFINED, &list));
    for (size_t k = 0; k < count; k++) {
        tn_object *item = NULL;
        tn_status status = TN_OK;
        if (elements[k]->dtype != elements[0]->dtype)
            status = tn_raise(TN_ERR_TYPE, "element %zu is %s, element 0 is %s", k,
                              tn_dtype_name(elements[k]->dtype), tn_dtype_name(elements[0]->dtype));
        if (status == TN_OK)
            status = tn_object_copy(elements[k], &item);
        if (status == TN_OK)
            status = tn_object_insert(list, (int64_t)k, item);
        if (status != TN_OK) {
            tn_object_unref(list);
            return status;
        }
    }
    *out = &list->tensor;
    return TN_OK;
}

void tn_value_destroy(tn_tensor *value)
{
    if (value)
        tn_object_unref(tn_object_of(value));
}
