/* The plugin ABI does not move: sizes and offsets of every struct that crosses, as ABI 1.0 froze them
 * for 64-bit machines. A member that moves is a compile error here; one that a later minor adds at
 * the end of a struct with a size changes that struct's SIZE row and adds an AT row, nothing else.
 * The public headers also compile alone, as C99, C17 and C++17. Needs TENON_SOURCE for that.
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#if UINTPTR_MAX == UINT64_MAX
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " changed its size")
#define AT(type, member, bytes)                                                                    \
    _Static_assert(offsetof(type, member) == (bytes), #type "." #member " moved")

SIZE(tn_type, 152);
AT(tn_type, size, 0);
AT(tn_type, kind, 4);
AT(tn_type, dtype, 8);
AT(tn_type, flags, 12);
AT(tn_type, rank, 16);
AT(tn_type, reserved, 20);
AT(tn_type, dims, 24);

SIZE(tn_text, 16);
AT(tn_text, bytes, 0);
AT(tn_text, count, 8);

SIZE(tn_tensor, 64);
AT(tn_tensor, size, 0);
AT(tn_tensor, kind, 4);
AT(tn_tensor, dtype, 8);
AT(tn_tensor, rank, 12);
AT(tn_tensor, dims, 16);
AT(tn_tensor, strides, 24);
AT(tn_tensor, data, 32);
AT(tn_tensor, bytes, 40);
AT(tn_tensor, layout, 48);
AT(tn_tensor, flags, 52);
AT(tn_tensor, object, 56);

SIZE(tn_attribute, 104);
AT(tn_attribute, size, 0);
AT(tn_attribute, type, 4);
AT(tn_attribute, name, 8);
AT(tn_attribute, i, 16);
AT(tn_attribute, f, 24);
AT(tn_attribute, s, 32);
AT(tn_attribute, count, 48);
AT(tn_attribute, floats, 56);
AT(tn_attribute, ints, 64);
AT(tn_attribute, strings, 72);
AT(tn_attribute, tensors, 80);
AT(tn_attribute, regions, 88);
AT(tn_attribute, types, 96);

SIZE(tn_node_view, 80);
AT(tn_node_view, size, 0);
AT(tn_node_view, version, 4);
AT(tn_node_view, name, 8);
AT(tn_node_view, domain, 16);
AT(tn_node_view, op, 24);
AT(tn_node_view, overload, 32);
AT(tn_node_view, input_count, 40);
AT(tn_node_view, output_count, 44);
AT(tn_node_view, inputs, 48);
AT(tn_node_view, outputs, 56);
AT(tn_node_view, attribute_count, 64);
AT(tn_node_view, region, 68);
AT(tn_node_view, attributes, 72);

SIZE(tn_window, 40);
AT(tn_window, kernel, 0);
AT(tn_window, stride, 8);
AT(tn_window, dilation, 16);
AT(tn_window, pad_begin, 24);
AT(tn_window, pad_end, 32);

SIZE(tn_node_desc, 104);
AT(tn_node_desc, size, 0);
AT(tn_node_desc, region, 4);
AT(tn_node_desc, name, 8);
AT(tn_node_desc, domain, 16);
AT(tn_node_desc, op, 24);
AT(tn_node_desc, overload, 32);
AT(tn_node_desc, input_count, 40);
AT(tn_node_desc, output_count, 44);
AT(tn_node_desc, inputs, 48);
AT(tn_node_desc, outputs, 56);
AT(tn_node_desc, attribute_count, 64);
AT(tn_node_desc, before, 68);
AT(tn_node_desc, attributes, 72);
AT(tn_node_desc, origin, 80);
AT(tn_node_desc, doc, 88);
AT(tn_node_desc, trace, 96);

SIZE(tn_constant_desc, 48);
AT(tn_constant_desc, size, 0);
AT(tn_constant_desc, region, 4);
AT(tn_constant_desc, name, 8);
AT(tn_constant_desc, tensor, 16);
AT(tn_constant_desc, buffer, 24);
AT(tn_constant_desc, origin, 32);
AT(tn_constant_desc, value, 40);

SIZE(tn_value_view, 56);
AT(tn_value_view, size, 0);
AT(tn_value_view, region, 4);
AT(tn_value_view, name, 8);
AT(tn_value_view, type, 16);
AT(tn_value_view, producer, 24);
AT(tn_value_view, producer_output, 28);
AT(tn_value_view, constant, 32);
AT(tn_value_view, use_count, 40);
AT(tn_value_view, output_count, 44);
AT(tn_value_view, is_input, 48);

SIZE(tn_call, 24);
AT(tn_call, size, 0);
AT(tn_call, minor, 4);
AT(tn_call, host, 8);
AT(tn_call, user, 16);

SIZE(tn_param_def, 40);
AT(tn_param_def, name, 0);
AT(tn_param_def, constraint, 8);
AT(tn_param_def, types, 16);
AT(tn_param_def, flags, 24);
AT(tn_param_def, minimum, 28);
AT(tn_param_def, doc, 32);

SIZE(tn_attribute_def, 56);
AT(tn_attribute_def, name, 0);
AT(tn_attribute_def, type, 8);
AT(tn_attribute_def, flags, 12);
AT(tn_attribute_def, i, 16);
AT(tn_attribute_def, f, 24);
AT(tn_attribute_def, ints_count, 28);
AT(tn_attribute_def, s, 32);
AT(tn_attribute_def, ints, 40);
AT(tn_attribute_def, doc, 48);

SIZE(tn_infer, 56);
AT(tn_infer, call, 0);
AT(tn_infer, node, 24);
AT(tn_infer, input_count, 32);
AT(tn_infer, output_count, 36);
AT(tn_infer, inputs, 40);
AT(tn_infer, outputs, 48);

SIZE(tn_cost, 32);
AT(tn_cost, size, 0);
AT(tn_cost, macs, 8);
AT(tn_cost, ops, 16);
AT(tn_cost, bytes, 24);

SIZE(tn_identity, 40);
AT(tn_identity, size, 0);
AT(tn_identity, used_outputs, 4);
AT(tn_identity, node, 8);
AT(tn_identity, inputs, 16);
AT(tn_identity, outputs, 24);
AT(tn_identity, constants, 32);

SIZE(tn_operator_def, 152);
AT(tn_operator_def, size, 0);
AT(tn_operator_def, since, 4);
AT(tn_operator_def, domain, 8);
AT(tn_operator_def, name, 16);
AT(tn_operator_def, doc, 24);
AT(tn_operator_def, inputs, 32);
AT(tn_operator_def, outputs, 40);
AT(tn_operator_def, attributes, 48);
AT(tn_operator_def, input_count, 56);
AT(tn_operator_def, output_count, 58);
AT(tn_operator_def, attribute_count, 60);
AT(tn_operator_def, accepts_from, 62);
AT(tn_operator_def, traits, 64);
AT(tn_operator_def, reserved, 68);
AT(tn_operator_def, infer, 72);
AT(tn_operator_def, identity, 80);
AT(tn_operator_def, cost, 88);
AT(tn_operator_def, window, 96);
AT(tn_operator_def, samplewise, 104);
AT(tn_operator_def, body, 112);
AT(tn_operator_def, expand, 120);
AT(tn_operator_def, upgrade, 128);
AT(tn_operator_def, user, 136);
AT(tn_operator_def, pieces, 144);

SIZE(tn_pieces, 24);
AT(tn_pieces, size, 0);
AT(tn_pieces, axis, 4);
AT(tn_pieces, cuts, 8);
AT(tn_pieces, reserved, 12);
AT(tn_pieces, begins, 16);

SIZE(tn_step, 48);
AT(tn_step, size, 0);
AT(tn_step, chain_input, 4);
AT(tn_step, node, 8);
AT(tn_step, operand, 16);
AT(tn_step, spread, 20);
AT(tn_step, input_count, 24);
AT(tn_step, version, 28);
AT(tn_step, inputs, 32);
AT(tn_step, spreads, 40);

SIZE(tn_problem, 96);
AT(tn_problem, size, 0);
AT(tn_problem, flags, 4);
AT(tn_problem, threads, 8);
AT(tn_problem, math, 12);
AT(tn_problem, node, 16);
AT(tn_problem, own_count, 24);
AT(tn_problem, input_count, 28);
AT(tn_problem, output_count, 32);
AT(tn_problem, step_count, 36);
AT(tn_problem, inputs, 40);
AT(tn_problem, outputs, 48);
AT(tn_problem, constants, 56);
AT(tn_problem, steps, 64);
AT(tn_problem, prologue, 72);
AT(tn_problem, prologue_count, 80);
AT(tn_problem, input_layout, 84);
AT(tn_problem, output_layout, 88);

SIZE(tn_offer, 48);
AT(tn_offer, call, 0);
AT(tn_offer, problem, 24);
AT(tn_offer, seconds, 32);
AT(tn_offer, algorithm, 40);

SIZE(tn_pack_def, 40);
AT(tn_pack_def, size, 0);
AT(tn_pack_def, source_count, 4);
AT(tn_pack_def, sources, 8);
AT(tn_pack_def, key, 16);
AT(tn_pack_def, key_bytes, 24);
AT(tn_pack_def, bytes, 32);

SIZE(tn_alias, 8);
AT(tn_alias, kind, 0);
AT(tn_alias, input, 4);

SIZE(tn_alternative, 384);
AT(tn_alternative, size, 0);
AT(tn_alternative, pack_count, 4);
AT(tn_alternative, input_layouts, 8);
AT(tn_alternative, output_layouts, 16);
AT(tn_alternative, output_aliases, 24);
AT(tn_alternative, algorithm, 32);
AT(tn_alternative, seconds, 40);
AT(tn_alternative, scratch_bytes, 48);
AT(tn_alternative, slot_bytes, 56);
AT(tn_alternative, packs, 64);

SIZE(tn_layouts, 16);
AT(tn_layouts, count, 0);
AT(tn_layouts, layouts, 8);

SIZE(tn_measure, 64);
AT(tn_measure, call, 0);
AT(tn_measure, problem, 24);
AT(tn_measure, candidates, 32);
AT(tn_measure, alternative_count, 40);
AT(tn_measure, reserved, 44);
AT(tn_measure, alternatives, 48);
AT(tn_measure, instance, 56);

SIZE(tn_pack, 24);
AT(tn_pack, data, 0);
AT(tn_pack, bytes, 8);
AT(tn_pack, fill, 16);
AT(tn_pack, reserved, 20);

SIZE(tn_prepare, 64);
AT(tn_prepare, call, 0);
AT(tn_prepare, problem, 24);
AT(tn_prepare, chosen, 32);
AT(tn_prepare, chosen_index, 40);
AT(tn_prepare, reserved, 44);
AT(tn_prepare, packs, 48);
AT(tn_prepare, instance, 56);

SIZE(tn_run, 104);
AT(tn_run, call, 0);
AT(tn_run, node, 24);
AT(tn_run, input_count, 32);
AT(tn_run, output_count, 36);
AT(tn_run, inputs, 40);
AT(tn_run, outputs, 48);
AT(tn_run, scratch, 56);
AT(tn_run, packs, 64);
AT(tn_run, instance, 72);
AT(tn_run, threads, 80);
AT(tn_run, math, 84);
AT(tn_run, seed, 88);
AT(tn_run, turn, 96);

SIZE(tn_slot_call, 40);
AT(tn_slot_call, call, 0);
AT(tn_slot_call, problem, 24);
AT(tn_slot_call, instance, 32);

SIZE(tn_kernel_def, 120);
AT(tn_kernel_def, size, 0);
AT(tn_kernel_def, flags, 4);
AT(tn_kernel_def, domain, 8);
AT(tn_kernel_def, op, 16);
AT(tn_kernel_def, backend, 24);
AT(tn_kernel_def, since, 32);
AT(tn_kernel_def, until, 36);
AT(tn_kernel_def, types, 40);
AT(tn_kernel_def, state_bytes, 48);
AT(tn_kernel_def, reserved, 52);
AT(tn_kernel_def, offer, 56);
AT(tn_kernel_def, measure, 64);
AT(tn_kernel_def, prepare, 72);
AT(tn_kernel_def, attach, 80);
AT(tn_kernel_def, run, 88);
AT(tn_kernel_def, detach, 96);
AT(tn_kernel_def, finish, 104);
AT(tn_kernel_def, user, 112);

SIZE(tn_backend_open, 48);
AT(tn_backend_open, call, 0);
AT(tn_backend_open, threads, 24);
AT(tn_backend_open, reserved, 28);
AT(tn_backend_open, instance, 32);
AT(tn_backend_open, description, 40);

SIZE(tn_backend_def, 56);
AT(tn_backend_def, size, 0);
AT(tn_backend_def, reserved, 4);
AT(tn_backend_def, name, 8);
AT(tn_backend_def, doc, 16);
AT(tn_backend_def, build, 24);
AT(tn_backend_def, open, 32);
AT(tn_backend_def, close, 40);
AT(tn_backend_def, user, 48);

SIZE(tn_graph_api, 360);
AT(tn_graph_api, size, 0);
AT(tn_graph_api, reserved, 4);
AT(tn_graph_api, first_node, 8);
AT(tn_graph_api, next_node, 16);
AT(tn_graph_api, node, 24);
AT(tn_graph_api, value, 32);
AT(tn_graph_api, use, 40);
AT(tn_graph_api, region_inputs, 48);
AT(tn_graph_api, region_outputs, 56);
AT(tn_graph_api, output_name, 64);
AT(tn_graph_api, find_value, 72);
AT(tn_graph_api, region_owner, 80);
AT(tn_graph_api, add_region, 88);
AT(tn_graph_api, add_value, 96);
AT(tn_graph_api, add_input, 104);
AT(tn_graph_api, add_output, 112);
AT(tn_graph_api, add_constant, 120);
AT(tn_graph_api, add_node, 128);
AT(tn_graph_api, set_attribute, 136);
AT(tn_graph_api, drop_attribute, 144);
AT(tn_graph_api, set_input, 152);
AT(tn_graph_api, set_operator, 160);
AT(tn_graph_api, replace, 168);
AT(tn_graph_api, remove_node, 176);
AT(tn_graph_api, set_name, 184);
AT(tn_graph_api, set_metadata, 192);
AT(tn_graph_api, set_opset, 200);
AT(tn_graph_api, name, 208);
AT(tn_graph_api, metadata_count, 216);
AT(tn_graph_api, metadata, 224);
AT(tn_graph_api, opset_count, 232);
AT(tn_graph_api, opset, 240);
AT(tn_graph_api, add_function, 248);
AT(tn_graph_api, function_count, 256);
AT(tn_graph_api, function, 264);
AT(tn_graph_api, add_function_attribute, 272);
AT(tn_graph_api, function_attributes, 280);
AT(tn_graph_api, node_doc, 288);
AT(tn_graph_api, node_origin, 296);
AT(tn_graph_api, dim_parse, 304);
AT(tn_graph_api, dim_text, 312);
AT(tn_graph_api, set_node_metadata, 320);
AT(tn_graph_api, node_metadata, 328);
AT(tn_graph_api, error_message, 336);
AT(tn_graph_api, next_value, 344);
AT(tn_graph_api, copy_body, 352);

SIZE(tn_rewrite, 48);
AT(tn_rewrite, call, 0);
AT(tn_rewrite, graph, 24);
AT(tn_rewrite, api, 32);
AT(tn_rewrite, math, 40);
AT(tn_rewrite, reserved, 44);

SIZE(tn_pass_def, 64);
AT(tn_pass_def, size, 0);
AT(tn_pass_def, phase, 4);
AT(tn_pass_def, order, 8);
AT(tn_pass_def, exactness, 12);
AT(tn_pass_def, name, 16);
AT(tn_pass_def, doc, 24);
AT(tn_pass_def, roots, 32);
AT(tn_pass_def, match, 40);
AT(tn_pass_def, user, 48);
AT(tn_pass_def, makes, 56);

SIZE(tn_format_call, 72);
AT(tn_format_call, call, 0);
AT(tn_format_call, path, 24);
AT(tn_format_call, bytes, 32);
AT(tn_format_call, count, 40);
AT(tn_format_call, buffer, 48);
AT(tn_format_call, graph, 56);
AT(tn_format_call, api, 64);

SIZE(tn_format_def, 64);
AT(tn_format_def, size, 0);
AT(tn_format_def, reserved, 4);
AT(tn_format_def, name, 8);
AT(tn_format_def, extension, 16);
AT(tn_format_def, doc, 24);
AT(tn_format_def, sniff, 32);
AT(tn_format_def, read, 40);
AT(tn_format_def, write, 48);
AT(tn_format_def, user, 56);

SIZE(tn_host, 296);
AT(tn_host, size, 0);
AT(tn_host, minor, 4);
AT(tn_host, graph, 8);
AT(tn_host, fail, 16);
AT(tn_host, complain, 24);
AT(tn_host, extension, 32);
AT(tn_host, input_value, 40);
AT(tn_host, input_elements, 48);
AT(tn_host, output_elements, 56);
AT(tn_host, infer_region, 64);
AT(tn_host, dim_op, 72);
AT(tn_host, dim_equal, 80);
AT(tn_host, broadcast, 88);
AT(tn_host, output_alloc, 96);
AT(tn_host, parallel_for, 104);
AT(tn_host, cancelled, 112);
AT(tn_host, random, 120);
AT(tn_host, string_make, 128);
AT(tn_host, seq_count, 136);
AT(tn_host, seq_get, 144);
AT(tn_host, seq_begin, 152);
AT(tn_host, seq_insert, 160);
AT(tn_host, seq_erase, 168);
AT(tn_host, opt_get, 176);
AT(tn_host, opt_set, 184);
AT(tn_host, output_set, 192);
AT(tn_host, run_region, 200);
AT(tn_host, value_release, 208);
AT(tn_host, value_slice, 216);
AT(tn_host, value_make, 224);
AT(tn_host, list_push, 232);
AT(tn_host, layout, 240);
AT(tn_host, layout_blob, 248);
AT(tn_host, map_file, 256);
AT(tn_host, buffer_create, 264);
AT(tn_host, buffer_data, 272);
AT(tn_host, buffer_release, 280);
AT(tn_host, write_file, 288);

SIZE(tn_registrar, 64);
AT(tn_registrar, call, 0);
AT(tn_registrar, add_operator, 24);
AT(tn_registrar, add_kernel, 32);
AT(tn_registrar, add_backend, 40);
AT(tn_registrar, add_pass, 48);
AT(tn_registrar, add_format, 56);

SIZE(struct tn_plugin_entry, 80);
AT(struct tn_plugin_entry, magic, 0);
AT(struct tn_plugin_entry, abi_major, 8);
AT(struct tn_plugin_entry, abi_minor, 12);
AT(struct tn_plugin_entry, size, 16);
AT(struct tn_plugin_entry, flags, 20);
AT(struct tn_plugin_entry, name, 24);
AT(struct tn_plugin_entry, version, 32);
AT(struct tn_plugin_entry, licence, 40);
AT(struct tn_plugin_entry, description, 48);
AT(struct tn_plugin_entry, load, 56);
AT(struct tn_plugin_entry, unload, 64);
AT(struct tn_plugin_entry, extension, 72);
#endif

_Static_assert(TN_ABI_MAGIC == UINT64_C(0x31306e6f6e6574ab), "the magic is the ABI's");
_Static_assert(TN_ABI_MAJOR == 1, "major 1");

/* Numbers that files and plugins hold. */
_Static_assert(TN_FLOAT32 == 1 && TN_STRING == 8 && TN_BFLOAT16 == 16 && TN_INT2 == 26,
               "ONNX's numbers");
_Static_assert(TN_ATTR_FLOAT == 1 && TN_ATTR_GRAPHS == 10 && TN_ATTR_TYPES == 14 &&
                   TN_ATTR_REF == 32,
               "ONNX's numbers");
_Static_assert(TN_ERR_INTERNAL == 24 && TN_DECLINED == 64 && TN_NO_MATCH == 67,
               "statuses are added at the end");

/* ---- headers by themselves ------------------------------------------------------------------------ */

static int compiles(const char *compiler, const char *standard, const char *header)
{
    char command[4096];
    const char *source = getenv("TENON_SOURCE");
    cr_assert(source, "TENON_SOURCE is not set");
    snprintf(
        command, sizeof command,
        "echo '#include \"tenon/%s\"' | %s -std=%s -x %s -fsyntax-only -Wall -Wextra -Werror -I'%s/engine/include' -",
        header, compiler, standard, compiler[2] ? "c++" : "c", source);
    return system(command) == 0;
}

static void all_compile(const char *compiler, const char *standard)
{
    static const char *const headers[] = { "types.h",  "tenon.h",   "plugin.h",
                                           "kernel.h", "upgrade.h", "packing.h" };
    char command[64];
    snprintf(command, sizeof command, "command -v %s >/dev/null", compiler);
    if (system(command) != 0)
        cr_skip_test("no %s here", compiler);
    for (size_t k = 0; k < sizeof headers / sizeof headers[0]; k++)
        cr_assert(compiles(compiler, standard, headers[k]), "tenon/%s does not compile as %s",
                  headers[k], standard);
}

Test(abi, headers_compile_as_c99)
{
    all_compile("cc", "c99");
}
Test(abi, headers_compile_as_c17)
{
    all_compile("cc", "c17");
}
Test(abi, headers_compile_as_cpp17)
{
    all_compile("c++", "c++17");
}
