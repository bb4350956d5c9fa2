#include "engine/registry/registry.h"
#include "engine/json/json.h"
tn_status tn_registry_print_operator(const tn_registry *registry, const char *name, tn_print_fn print, void *user){(void)registry;(void)name;(void)print;(void)user;return tn_raise(TN_ERR_IO,"shim");}
tn_status tn_registry_print_operators(const tn_registry *registry, tn_print_fn print, void *user){(void)registry;(void)print;(void)user;return tn_raise(TN_ERR_IO,"shim");}
tn_status tn_registry_print_passes(const tn_registry *registry, tn_print_fn print, void *user){(void)registry;(void)print;(void)user;return tn_raise(TN_ERR_IO,"shim");}
#include "engine/compile/pass.h"
tn_status tn_match_duplicate(tn_rewrite *ctx, tn_node_id node){(void)ctx;(void)node;return TN_NO_MATCH;}
tn_status tn_duplicates_begin(tn_manager *m){(void)m;return TN_OK;}
tn_status tn_duplicates_end(tn_manager *m){(void)m;return TN_OK;}
