/* engine/compile/pass_drive.c: one pass over all nodes, until none of them matches any more.
 *
 * In: a resolved, inferred graph and a pass. A worklist starts with every node that the pass roots
 * at, those of inner regions first, and grows by what a rewrite touched and its neighbours. Each
 * try is one transaction: kept when the pass says so and the graph is whole afterwards, undone
 * otherwise. Work is proportional to nodes tried and to what they touch; nothing here looks at the
 * whole graph for one rewrite.
 *
 * SPDX-License-Identifier: MIT */
#include "engine/compile/pass.h"

#include <stdio.h>

/* Neighbours of one value that a rewrite puts on the list again. A value that thousands read would
 * make the list quadratic; what is left out here the next round finds. */
enum { NEAR_USES = 16 };

/* The context of a match, as the registry wants it. */
typedef struct tn_rewrite_frame {
    tn_frame frame;
    tn_rewrite ctx;
} tn_rewrite_frame;

/* ---- the worklist ------------------------------------------------------------------------ */

static bool is_root(const tn_pass_def *def, const tn_node_view *view)
{
    if (!def->roots)
        return true;
    for (const char *const *root = def->roots; *root; root++) {
        const char *name = strstr(*root, "::");
        const size_t domain = name ? (size_t)(name - *root) : 0;
        name = name ? name + 2 : *root;
        if (strcmp(name, view->op) == 0 && strlen(view->domain) == domain &&
            strncmp(*root, view->domain, domain) == 0)
            return true;
    }
    return false;
}

static bool make_room(tn_manager *m)
{
    const uint32_t slots = tn_graph_node_slots(m->graph), wanted = slots + slots / 2 + 16;
    uint8_t *waiting;
    uint32_t *miss_of;
    if (slots <= m->slots)
        return true;
    waiting = tn_realloc(m->waiting, wanted, sizeof *waiting);
    if (waiting)
        m->waiting = waiting;
    miss_of = tn_realloc(m->miss_of, wanted, sizeof *miss_of);
    if (miss_of)
        m->miss_of = miss_of;
    if (!waiting || !miss_of)
        return false;
    memset(waiting + m->slots, 0, wanted - m->slots);
    memset(miss_of + m->slots, 0, (wanted - m->slots) * sizeof *miss_of);
    m->slots = wanted;
    return true;
}

static tn_status append(tn_node_list *list, tn_node_id node)
{
    if (!TN_GROW(list))
        return tn_raise_memory();
    list->items[list->count++] = node;
    return TN_OK;
}

static bool is_barred(const tn_pass_row *row, tn_node_id node)
{
    return tn_slot_of(node) < row->barred_count && row->barred[tn_slot_of(node)] == node;
}

/* Puts a node on the list, if the pass starts at such nodes and it is not on it. */
static tn_status queue(tn_manager *m, tn_node_list *list, tn_node_id node)
{
    const tn_node_view *view = node == TN_NONE ? NULL : tn_graph_node(m->graph, node);
    if (!view || !is_root(&m->row->def, view) || is_barred(m->row, node))
        return TN_OK;
    if (!make_room(m))
        return tn_raise_memory();
    if (m->waiting[tn_slot_of(node)])
        return TN_OK;
    m->waiting[tn_slot_of(node)] = 1;
    return append(list, node);
}

static tn_status queue_region(tn_manager *m, tn_region_id region)
{
    for (tn_node_id node = tn_graph_first_node(m->graph, region); node != TN_NONE;
         node = tn_graph_next_node(m->graph, node))
        TN_TRY(queue(m, &m->now, node));
    return TN_OK;
}

static uint32_t depth_of(const tn_graph *graph, tn_region_id region)
{
    uint32_t depth = 0;
    for (; region != TN_TOP_REGION && region != TN_NONE;
         region = tn_graph_region_outer(graph, region))
        depth++;
    return depth;
}

/* Inner regions first, so that an outer node meets bodies that are done. */
static tn_status queue_all(tn_manager *m)
{
    const uint32_t count = tn_graph_region_count(m->graph);
    uint32_t *depths, deepest = 0;
    tn_status status = TN_OK;
    m->now.count = m->next.count = 0;
    if (m->slots)
        memset(m->waiting, 0, m->slots);
    depths = tn_alloc(count, sizeof *depths);
    if (!depths)
        return tn_raise_memory();
    for (tn_region_id region = 0; region < count; region++) {
        depths[region] = tn_graph_region_alive(m->graph, region) ? depth_of(m->graph, region)
                                                                 : UINT32_MAX;
        if (depths[region] != UINT32_MAX && depths[region] > deepest)
            deepest = depths[region];
    }
    for (uint32_t depth = deepest + 1; depth-- > 0 && status == TN_OK;)
        for (tn_region_id region = 0; region < count && status == TN_OK; region++)
            if (depths[region] == depth)
                status = queue_region(m, region);
    tn_free(depths);
    return status;
}

static tn_status queue_uses(tn_manager *m, tn_value_id value)
{
    tn_node_id reader;
    uint32_t input;
    for (uint32_t k = 0;
         k < NEAR_USES && tn_graph_use(m->graph, value, k, &reader, &input) == TN_OK; k++)
        TN_TRY(queue(m, &m->next, reader));
    return TN_OK;
}

static tn_status queue_maker(tn_manager *m, tn_value_id value)
{
    const tn_value_view *view = value == TN_NONE ? NULL : tn_graph_value(m->graph, value);
    return view ? queue(m, &m->next, view->producer) : TN_OK;
}

/* A touched node, those next to it, and the node around it. */
static tn_status queue_near(tn_manager *m, tn_node_id node)
{
    const tn_node_view *view = tn_graph_node(m->graph, node);
    if (!view)
        return TN_OK;
    TN_TRY(queue(m, &m->next, node));
    for (uint32_t k = 0; k < view->input_count && k < NEAR_USES; k++)
        TN_TRY(queue_maker(m, view->inputs[k]));
    for (uint32_t k = 0; k < view->output_count && k < NEAR_USES; k++)
        if (view->outputs[k] != TN_NONE)
            TN_TRY(queue_uses(m, view->outputs[k]));
    return view->region == TN_TOP_REGION
               ? TN_OK
               : queue(m, &m->next, tn_graph_region_owner(m->graph, view->region));
}

/* ---- near misses and breakage ------------------------------------------------------------ */

static tn_status keep_miss(tn_manager *m, tn_node_id node, const char *text)
{
    tn_pass_row *row = m->row;
    const uint32_t k = m->miss_of[tn_slot_of(node)];
    char *copy = *text ? tn_strdup(text) : NULL;
    if (*text && !copy)
        return tn_raise_memory();
    if (k) {
        tn_free(row->misses.items[k - 1].text);
        row->misses.items[k - 1] = (tn_near_miss){ .node = node, .text = copy };
        return TN_OK;
    }
    if (!copy)
        return TN_OK;
    if (!TN_GROW(&row->misses)) {
        tn_free(copy);
        return tn_raise_memory();
    }
    row->misses.items[row->misses.count++] = (tn_near_miss){ .node = node, .text = copy };
    m->miss_of[tn_slot_of(node)] = row->misses.count;
    return TN_OK;
}

static void forget_misses(tn_manager *m)
{
    for (uint32_t k = 0; k < m->row->misses.count; k++)
        tn_free(m->row->misses.items[k].text);
    m->row->misses.count = 0;
    if (m->slots)
        memset(m->miss_of, 0, m->slots * sizeof *m->miss_of);
}

static tn_status bar(tn_manager *m, tn_node_id node)
{
    tn_pass_row *row = m->row;
    const uint32_t slot = tn_slot_of(node);
    if (slot >= row->barred_count) {
        const uint32_t wanted = slot + slot / 2 + 16;
        tn_node_id *barred = tn_realloc(row->barred, wanted, sizeof *barred);
        if (!barred)
            return tn_raise_memory();
        for (uint32_t k = row->barred_count; k < wanted; k++)
            barred[k] = TN_NONE;
        row->barred = barred;
        row->barred_count = wanted;
    }
    row->barred[slot] = node;
    return TN_OK;
}

/* A pass that breaks never breaks the session: a warning, and it leaves this node alone. */
static tn_status warn(tn_manager *m, tn_node_id node, tn_status status, const char *message)
{
    char text[800];
    tn_diagnostic diagnostic = { .size = sizeof diagnostic };
    snprintf(text, sizeof text, "pass '%s' is left out here, what it did was undone: %s",
             m->row->def.name, *message ? message : tn_status_name(status));
    tn_graph_locate(m->graph, node, "", &diagnostic);
    diagnostic.severity = TN_SEVERITY_WARNING;
    diagnostic.status = status;
    diagnostic.message = text;
    tn_diagnose(m->diagnostics, &diagnostic);
    return bar(m, node);
}

/* ---- one try ----------------------------------------------------------------------------- */

/* What the edits touched, kept beyond the next edit. */
static tn_status copy_touched(tn_manager *m)
{
    const tn_node_id *touched;
    const uint32_t count = tn_graph_touched(m->graph, &touched);
    m->touched.count = 0;
    for (uint32_t k = 0; k < count; k++)
        if (tn_graph_node(m->graph, touched[k]))
            TN_TRY(append(&m->touched, touched[k]));
    return TN_OK;
}

/* Those of the touched nodes that inference has to see, in m->stale. */
static tn_status copy_stale(tn_manager *m)
{
    m->stale.count = 0;
    for (uint32_t k = 0; k < m->touched.count; k++)
        if (tn_graph_stale(m->graph, m->touched.items[k]))
            TN_TRY(append(&m->stale, m->touched.items[k]));
    return TN_OK;
}

/* Makes the graph whole again after a rewrite: resolved, inferred, without a cycle. */
static tn_status settle(tn_manager *m)
{
    const uint64_t limit = m->options->limits.nodes ? m->options->limits.nodes : 1000000;
    if (m->quiet)
        return TN_OK;
    TN_TRY(copy_stale(m));
    for (uint32_t k = 0; k < m->stale.count; k++)
        if (m->row->plugin || !tn_graph_schema(m->graph, m->stale.items[k]))
            TN_TRY(tn_infer_resolve_node(m->options->registry, m->graph, m->stale.items[k], NULL));
    TN_TRY(tn_infer_touched(m->options->registry, m->graph, m->stale.items, m->stale.count));
    if (tn_graph_node_count(m->graph) > limit)
        return tn_raise(TN_ERR_LIMIT, "the graph would have more than %" PRIu64 " nodes", limit);
    return tn_pass_order_check(m, m->touched.items, m->touched.count);
}

void tn_pass_commit(tn_manager *m)
{
    tn_graph_commit(m->graph);
    m->edits++;
}

static tn_status hit(tn_manager *m, const char *text)
{
    tn_pass_record *record = &m->log->records[m->row - m->rows];
    tn_pass_commit(m);
    record->fired++;
    m->budget--;
    TN_TRY(tn_pass_note_add(m, (uint32_t)(m->row - m->rows), true, text));
    for (uint32_t k = 0; k < m->touched.count; k++)
        TN_TRY(queue_near(m, m->touched.items[k]));
    for (uint32_t k = 0; k < m->near.count; k++)
        TN_TRY(queue(m, &m->next, m->near.items[k]));
    return TN_OK;
}

/* Who makes what the root reads: with the root gone, nothing would lead there any more. */
static tn_status remember_near(tn_manager *m, tn_node_id node)
{
    const tn_node_view *view = tn_graph_node(m->graph, node);
    const tn_operator *op = tn_operator_of(m->graph, node);
    const tn_value_id *values = view->inputs;
    uint32_t count = view->input_count;
    m->near.count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t k = 0; k < count; k++) {
            const tn_value_view *value = values[k] == TN_NONE ? NULL
                                                              : tn_graph_value(m->graph, values[k]);
            if (value && value->producer != TN_NONE)
                TN_TRY(append(&m->near, value->producer));
        }
        if (pass || !op || !(op->def.traits & TN_REGIONS))
            break;
        TN_TRY(tn_graph_captures(m->graph, node, &values, &count));
    }
    return TN_OK;
}

/* A plugin's rewrite that says TN_OK and changed nothing would be tried for ever. */
static bool did_nothing(tn_manager *m, tn_node_id node, uint32_t nodes)
{
    return m->row->plugin && !m->touched.count && tn_graph_node(m->graph, node) &&
           tn_graph_node_count(m->graph) == nodes;
}

/* After a match: TN_OK when its rewrite is to stay, else why not. */
static tn_status judge(tn_manager *m, tn_node_id node, tn_status status, uint32_t nodes)
{
    if (status != TN_OK)
        return status;
    TN_TRY(copy_touched(m));
    if (did_nothing(m, node, nodes))
        return TN_NO_MATCH;
    TN_TRY(settle(m));
    return keep_miss(m, node, "");
}

static bool is_no(tn_status status)
{
    return status == TN_NO_MATCH || status == TN_KEEP || status == TN_DECLINED;
}

static tn_status conclude(tn_manager *m, tn_frame *frame, tn_node_id node, tn_status status,
                          uint32_t nodes)
{
    char text[sizeof frame->message];
    const tn_status verdict = judge(m, node, status, nodes);
    if (verdict == TN_OK)
        return hit(m, frame->message);
    /* Kept here: undoing may speak on this thread, too. */
    snprintf(text, sizeof text, "%s",
             frame->status == verdict ? frame->message
             : is_no(verdict)         ? ""
                                      : tn_error_message());
    tn_graph_undo(m->graph);
    if (is_no(verdict))
        return keep_miss(m, node, text);
    return verdict == TN_ERR_MEMORY ? tn_raise_memory() : warn(m, node, verdict, text);
}

static tn_status try_node(tn_manager *m, tn_rewrite_frame *frame, tn_node_id node)
{
    const uint32_t nodes = tn_graph_node_count(m->graph);
    tn_status status;
    /* Both live as long as the graph; the node may be gone when they are needed. */
    const char *root = tn_graph_node(m->graph, node)->name, *op = tn_graph_node(m->graph, node)->op;
    TN_TRY(remember_near(m, node));
    TN_TRY(tn_graph_begin(m->graph));
    tn_frame_reset(&frame->frame);
    m->quiet = false;
    tn_raise(TN_OK, "%s", ""); /* what stands there afterwards belongs to this try */
    status = m->row->def.match(&frame->ctx, node);
    if (status == TN_OK && m->row->plugin && !frame->frame.message[0])
        snprintf(frame->frame.message, sizeof frame->frame.message, "%s (%s): %s", root, op,
                 m->row->def.name);
    const uint32_t fired = m->log->records[m->row - m->rows].fired;
    status = conclude(m, &frame->frame, node, status, nodes);
    if (m->log->records[m->row - m->rows].fired != fired)
        m->root = root;
    return status;
}

/* ---- one sweep --------------------------------------------------------------------------- */

static void open_frame(tn_manager *m, tn_rewrite_frame *frame)
{
    memset(frame, 0, sizeof *frame);
    /* Without a plugin there is no host: the core's passes speak by tn_pass_say. */
    tn_frame_init(&frame->frame, &frame->ctx.call, sizeof frame->ctx, TN_STAGE_REWRITE,
                  m->row->plugin, m->row->def.user, m);
    frame->ctx.graph = m->graph;
    frame->ctx.api = &tn_graph_functions;
    frame->ctx.math = m->options->math;
}

/* Passes that undo each other's work, or one that undoes its own. */
static tn_status stop(tn_manager *m)
{
    char text[200];
    m->exhausted = true;
    snprintf(text, sizeof text,
             "stopped: 64 rewrites for each node were not enough, "
             "so this pass and another undo each other");
    tn_diagnose(m->diagnostics, &(tn_diagnostic){ .size = sizeof(tn_diagnostic),
                                                  .severity = TN_SEVERITY_NOTE,
                                                  .status = TN_ERR_LIMIT,
                                                  .about = m->row->def.name,
                                                  .message = text });
    return tn_pass_note_add(m, (uint32_t)(m->row - m->rows), false, text);
}

static tn_status work_off(tn_manager *m, tn_rewrite_frame *frame)
{
    TN_TRY(queue_all(m));
    while (m->now.count) {
        tn_node_list done;
        for (uint32_t k = 0; k < m->now.count; k++) {
            const tn_node_id node = m->now.items[k];
            m->waiting[tn_slot_of(node)] = 0;
            if (!tn_graph_node(m->graph, node))
                continue;
            if (!m->budget)
                return stop(m);
            TN_TRY(try_node(m, frame, node));
        }
        done = m->now;
        m->now = m->next;
        m->next = done;
        m->next.count = 0;
    }
    return TN_OK;
}

static bool has_root(const tn_manager *m, const tn_pass_row *row)
{
    for (uint32_t slot = 0; slot < tn_graph_node_slots(m->graph); slot++) {
        const tn_node_id node = tn_graph_node_at(m->graph, slot);
        if (node != TN_NONE && is_root(&row->def, tn_graph_node(m->graph, node)))
            return true;
    }
    return false;
}

/* Backends are asked, and opened for it, only when there is something to match. */
static bool is_of_use(const tn_manager *m, tn_pass_row *row)
{
    const tn_passes_options *options = m->options;
    if (!row->by_level || !row->def.makes || !options->has_kernel)
        return true;
    if (row->use == USE_UNKNOWN && has_root(m, row))
        row->use = options->has_kernel(options->user, row->def.makes) ? OF_USE : OF_NO_USE;
    return row->use == OF_USE;
}

tn_status tn_pass_sweep(tn_manager *m, tn_pass_row *row)
{
    tn_rewrite_frame frame;
    tn_status status, end = TN_OK;
    if (!is_of_use(m, row))
        return TN_OK;
    m->row = row;
    forget_misses(m);
    open_frame(m, &frame);
    status = row->hooks && row->hooks->begin ? row->hooks->begin(m) : TN_OK;
    if (status == TN_OK)
        status = work_off(m, &frame);
    if (row->hooks && row->hooks->end)
        end = row->hooks->end(m);
    return status == TN_OK ? end : status;
}

bool tn_pass_is_around(const tn_graph *graph, tn_region_id outer, tn_region_id region)
{
    while (region != outer && region != TN_TOP_REGION && region != TN_NONE)
        region = tn_graph_region_outer(graph, region);
    return region == outer;
}
