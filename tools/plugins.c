/* tools/plugins.c: `tenon plugins`: what was found, where, what each brings, what was refused; and
 * the index of a folder.
 *
 * SPDX-License-Identifier: MIT */
#include "tool.h"

#include <string.h>

static void add_part(tool *t, const char **text, uint32_t count, const char *what)
{
    if (count)
        *text = keep_format(t, "%s%s%u %s%s", *text, **text ? ", " : "", count, what,
                            count == 1                  ? ""
                            : strcmp(what, "pass") == 0 ? "es"
                                                        : "s");
}

static const char *offers(tool *t, const tn_plugin_info *p)
{
    const char *text = "";
    add_part(t, &text, p->operator_count, "operator");
    add_part(t, &text, p->kernel_count, "kernel");
    add_part(t, &text, p->pass_count, "pass");
    add_part(t, &text, p->format_count, "format");
    add_part(t, &text, p->backend_count, "backend");
    return text;
}

static const char *or_dash(const char *text)
{
    return text && *text ? text : "-";
}

/* Opening a backend may add to the list or change it, so names are gathered first. */
void open_backends(tool *t)
{
    list names = { NULL, 0 };
    const tn_plugin_info *p;
    for (size_t k = 0; (p = tn_runtime_plugin(t->runtime, k)); k++)
        if (p->is_backend && p->status == TN_OK && p->name)
            list_add(t, &names, keep_text(t, p->name, strlen(p->name)));
    for (size_t k = 0; k < names.count; k++)
        (void)tn_runtime_open_backend(t->runtime, names.items[k]); /* the list then says why not */
}

/* No plugin but those of the folder is looked at. */
static int write_index(tool *t)
{
    const tn_status status = tn_index_plugins(t->set.index, t->diagnostics);
    return status == TN_OK ? EXIT_FINE : complain(t, status);
}

int plugins_main(tool *t)
{
    table tab = { .heading = "name\tversion\tABI\tkind\tstate\toffers\tfile" };
    const tn_plugin_info *p;
    size_t refused = 0;
    if (t->set.index)
        return write_index(t);
    int code = open_runtime(t);
    if (code)
        return code;
    if (t->set.open)
        open_backends(t);
    for (size_t k = 0; (p = tn_runtime_plugin(t->runtime, k)); k++) {
        refused += p->status != TN_OK;
        table_add(t, &tab, "%s\t%s\t%u.%u\t%s\t%s\t%s\t%s", or_dash(p->name), or_dash(p->version),
                  p->abi_major, p->abi_minor, p->is_backend ? "backend" : "plugin",
                  p->status                     ? "refused"
                  : p->is_backend && !p->opened ? "not opened"
                                                : "loaded",
                  or_dash(offers(t, p)), or_dash(p->file));
    }
    if (tab.rows.count == 0)
        return bad(t, EXIT_BACKEND,
                   "no plugin was found; TENON_PLUGIN_PATH or --plugins says where they are");
    table_print(&tab, stdout);
    for (size_t k = 0; (p = tn_runtime_plugin(t->runtime, k)); k++)
        if (p->message && *p->message) {
            const char *text = keep_format(t, "%s%s: %s", p->status ? "refused: " : "",
                                           p->status ? or_dash(p->file) : or_dash(p->name),
                                           p->message);
            print_clean(stdout, text, strlen(text));
            putchar('\n');
        }
    printf("default backends: %s\n", or_dash(tn_runtime_default_backends(t->runtime)));
    return refused ? EXIT_BACKEND : EXIT_FINE;
}
