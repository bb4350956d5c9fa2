/* A backend whose library does not fit: open says why.
 * SPDX-License-Identifier: MIT */
#include "tenon/plugin.h"

static tn_status backend_open(tn_backend_open *ctx)
{
    return tn_fail(ctx, TN_ERR_BACKEND, "libunicorn is 0.1, its header is 0.2");
}

static const tn_backend_def backend = { .size = sizeof(tn_backend_def),
                                        .name = "broken_backend",
                                        .open = backend_open };

static tn_status load(const tn_host *host, tn_registrar *registrar)
{
    (void)host;
    return registrar->add_backend(registrar, &backend);
}

TN_PLUGIN(broken_backend, .version = "1.0", .licence = "MIT", .description = "never opens",
          .load = load);
