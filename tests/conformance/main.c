/* tests/conformance/main.c: the program `conformance`: options, and a process for each test.
 *
 *     conformance [--backend LIST] [--passes none|default] [--folder DIR]… [--only GLOB]
 *                 [--expand body|kernel] [--bodies] [--list] [--jobs N]
 *
 * Without --folder: libonnx-testdata, and the folders in $TENON_ONNX_TESTS. --expand body runs what
 * ONNX wrote out ("…_expanded"), --expand kernel the operators that it wrote out; --bodies makes the
 * engine write out what it can, whatever kernels there are, and runs the tests where that is something;
 * of an operator that ONNX wrote out it must be.
 *
 * SPDX-License-Identifier: MIT */
#include "conformance.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- one process ------------------------------------------------------------------------------------ */

typedef struct job {
    pid_t process; /* 0: none */
    test *test;
    FILE *answer; /* a file, so that nothing waits for a reader */
} job;

static void start(job *j, tn_runtime *runtime, test *t, const settings *set)
{
    j->test = t;
    j->answer = tmpfile();
    fflush(stdout);
    j->process = j->answer ? fork() : -1;
    if (j->process < 0) {
        perror("conformance");
        exit(2);
    }
    if (j->process)
        return;
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    alarm(set->seconds);
    run_test(runtime, t, set, j->answer);
    fflush(j->answer);
    _exit(0);
}

static char *next_line(char **rest)
{
    char *line = *rest, *end = strchr(line, '\n');
    if (end) {
        *end = '\0';
        *rest = end + 1;
    } else {
        *rest += strlen(line);
    }
    return line;
}

static void finish(job *j, int how)
{
    char text[4096], death[80], *rest = text;
    rewind(j->answer);
    text[fread(text, 1, sizeof text - 1, j->answer)] = '\0';
    fclose(j->answer);
    test *t = j->test;
    t->operators = strdup(next_line(&rest));
    const char *outcome_text = next_line(&rest), *why = next_line(&rest);
    t->outcome = *outcome_text ? (outcome)(*outcome_text - '0') : OUTCOME_FAILED;
    if (WIFSIGNALED(how) || WEXITSTATUS(how)) {
        t->outcome = OUTCOME_FAILED;
        if (WIFSIGNALED(how))
            snprintf(death, sizeof death, "%s",
                     WTERMSIG(how) == SIGALRM ? "took too long" : strsignal(WTERMSIG(how)));
        else
            snprintf(death, sizeof death, "ended with code %d", WEXITSTATUS(how));
        why = death;
    }
    t->why = strdup(why);
    *j = (job){ 0 };
}

static void run_all(tn_runtime *runtime, tests *all, const settings *set)
{
    job jobs[64] = { { 0 } };
    size_t next = 0, running = 0;
    while (next < all->count || running) {
        for (unsigned k = 0; k < set->jobs && next < all->count; k++)
            if (!jobs[k].process) {
                start(&jobs[k], runtime, &all->items[next++], set);
                running++;
            }
        int how;
        const pid_t done = wait(&how);
        for (unsigned k = 0; k < set->jobs; k++)
            if (jobs[k].process == done) {
                finish(&jobs[k], how);
                running--;
            }
        if (done < 0 && errno != EINTR)
            return;
    }
}

/* ---- options -------------------------------------------------------------------------------------------- */

static int usage(void)
{
    fprintf(stderr, "usage: conformance [--backend LIST] [--passes none|default] [--folder DIR]... "
                    "[--only GLOB] [--expand body|kernel] [--bodies] [--list] [--jobs N]\n");
    return 2;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* The option's value, or NULL with a complaint. */
static const char *value_of(char **argv, int argc, int *k)
{
    return *k + 1 < argc ? argv[++*k] : NULL;
}

int main(int argc, char **argv)
{
    settings set = { .jobs = 2, .seconds = 300 };
    static tests all; /* to the end of the program */
    const char *folders[64];
    size_t folder_count = 0;
    for (int k = 1; k < argc; k++) {
        const char *option = argv[k];
        if (same(option, "--list") || same(option, "--bodies")) {
            *(same(option, "--list") ? &set.list : &set.bodies) = true;
            continue;
        }
        const char *given = value_of(argv, argc, &k);
        if (!given)
            return usage();
        if (same(option, "--backend"))
            set.backends = same(given, "all") ? NULL : given;
        else if (same(option, "--passes"))
            set.passes = same(given, "default") ? NULL : given;
        else if (same(option, "--only"))
            set.only = given;
        else if (same(option, "--expand") && (same(given, "body") || same(given, "kernel")))
            set.expand = given;
        else if (same(option, "--jobs") && atoi(given) > 0)
            set.jobs = atoi(given) < 64 ? (unsigned)atoi(given) : 64;
        else if (same(option, "--folder") && folder_count < 64)
            folders[folder_count++] = given;
        else
            return usage();
    }
    for (size_t k = 0; k < folder_count; k++)
        list_folder(&all, folders[k], &set);
    if (!folder_count)
        list_data(&all, true, &set);
    if (!all.count) {
        printf("1..0 # SKIP no test data: install libonnx-testdata or set TENON_ONNX_TESTS\n");
        return 0;
    }
    tn_runtime *runtime;
    if (tn_runtime_create(NULL, NULL, &runtime) != TN_OK) {
        fprintf(stderr, "conformance: %s\n", tn_error_message());
        return 2;
    }
    run_all(runtime, &all, &set);
    const bool good = report(&all, &set);
    tn_runtime_destroy(runtime);
    return good ? 0 : 1;
}
