/* Strings, where ONNX's own tests are silent: the syntax of regular expressions, modes of n-grams,
 * case beyond ASCII, and what is said about what is wrong.
 *
 * SPDX-License-Identifier: MIT */
#include "cases.h"

#define T(name, type, shape, data)                                                                 \
    "\"" name "\": {\"dtype\": \"" type "\", \"shape\": [" shape "], \"data\": [" data "]}"
#define X(shape, data) T("x", "string", shape, data)

/* What Python's re.fullmatch(pattern, text) says, where both syntaxes agree; RE2's documentation
 * elsewhere. */
static const struct {
    const char *pattern, *text;
    int matches;
} matches[] = {
    { "", "", 1 },
    { "", "a", 0 },
    { "abc", "abc", 1 },
    { "abc", "abcd", 0 },
    { "a|bc|d", "bc", 1 },
    { "a|bc|d", "d", 1 },
    { "a|bc|d", "b", 0 },
    { "(a|ab)(c|bcd)(d*)", "abcd", 1 },
    { "a*", "aaaa", 1 },
    { "a+", "", 0 },
    { "ab?c", "ac", 1 },
    { "a{2,3}", "a", 0 },
    { "a{2,3}", "aaa", 1 },
    { "a{2,3}", "aaaa", 0 },
    { "a{2,}", "aaaaaa", 1 },
    { "a{3}", "aa", 0 },
    { "(ab){2}", "abab", 1 },
    { "(a|b){0,2}c", "abc", 1 },
    { "x(a){0}y", "xy", 1 },
    { "a{,2}", "a{,2}", 1 },
    { "a*?b+?", "aabb", 1 },
    { "(a*)*", "aaa", 1 },
    { "(|a)+", "aaa", 1 },
    { "[a-c]+", "abcab", 1 },
    { "[^a-c]+", "abd", 0 },
    { "[]a]+", "]a]", 1 },
    { "[a-]+", "a-a", 1 },
    { "[\\\\d.]+", "1.5", 1 },
    { "[^\\\\d]", "5", 0 },
    { "\\\\w+\\\\s\\\\W", "ab_9 !", 1 },
    { "\\\\D\\\\S", "a1", 1 },
    { "[[:alpha:]]+[[:^digit:]]", "ab-", 1 },
    { "\\\\x41\\\\x{e9}\\\\101",
      "A\xc3\xa9"
      "A",
      1 },
    { ".", "\xc3\xa9", 1 },
    { "..", "\xc3\xa9", 0 },
    { "[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", 1 },
    { ".", "\\n", 0 },
    { "(?s).", "\\n", 1 },
    { "(?i)aBc", "AbC", 1 },
    { "(?i:a)b", "AB", 0 },
    { "(?i)[a-z]+", "ABC", 1 },
    { "(?i)[^a]", "A", 0 },
    { "((?i)a)b", "Ab", 1 },
    { "((?i)a)b", "AB", 0 },
    { "(?P<name>a)(?:b)", "ab", 1 },
    { "^ab$", "ab", 1 },
    { "a$b", "ab", 0 },
    { "(?m)a$\\\\n^b", "a\\nb", 1 },
    { "\\\\Aab\\\\z", "ab", 1 },
    { "a\\\\b.b", "a b", 1 },
    { "a\\\\bb", "ab", 0 },
    { "a\\\\Bb", "ab", 1 },
    { "\\\\B", "", 1 },
    { "\\\\Qa.b\\\\E+", "a.bbb", 1 },
    { "\\\\Qa.b\\\\E+", "aXb", 0 },
    { "a\\\\.b", "a.b", 1 },
    /* General categories: of letters, numbers, punctuation, symbols, separators; what is negated. */
    { "\\\\p{L}+", "\\u00c9\\u0436z\\u4e2d", 1 },
    { "\\\\p{L}+", "a1", 0 },
    { "\\\\pL\\\\pN", "\\u4e2d\\u0967", 1 },
    { "\\\\p{Lu}\\\\p{Ll}", "\\u00c9\\u0436", 1 },
    { "\\\\p{Lu}", "\\u00e9", 0 },
    { "\\\\p{Ll}", "\\u00c9", 0 },
    { "\\\\p{N}{3}", "7\\u2167\\u00bd", 1 },
    { "\\\\p{Nd}+", "7\\u0967", 1 },
    { "\\\\p{Nd}", "\\u2167", 0 },
    { "\\\\p{P}+", "!_\\u00ab\\u2014", 1 },
    { "\\\\p{P}", "+", 0 },
    { "\\\\p{S}+", "+$\\u20ac\\u00a9^", 1 },
    { "\\\\p{Sc}+", "$\\u20ac", 1 },
    { "\\\\p{Z}+", " \\u00a0\\u2028", 1 },
    { "\\\\p{Z}", "\\t", 0 },
    { "\\\\p{Mn}", "\\u0301", 1 },
    { "\\\\p{C}+", "\\t\\u00ad\\ue000", 1 },
    { "\\\\p{Lo}", "\\ud840\\udc00", 1 },
    { "\\\\P{L}+", "1 \\u0967", 1 },
    { "\\\\P{L}", "\\u0436", 0 },
    { "\\\\p{^Lu}\\\\P{^Lu}", "aA", 1 },
    { "\\\\P{C}", "\\u0378", 1 }, /* assigned to nothing: of no category */
    { "\\\\p{Any}+", "a\\n\\u0378", 1 },
    { "[\\\\p{Lu}0-9_]+", "\\u00c9_1", 1 },
    { "[^\\\\p{L}\\\\d]", "\\u0436", 0 },
    { "[^\\\\P{L}]", "\\u0436", 1 },
    { "(?i)\\\\p{Lu}\\\\p{Ll}", "aA", 1 },
    { "(?i)\\\\P{Lu}", "a", 0 },
    /* A backtracking engine needs 2^28 steps for this one. */
    { "(a?){28}a{28}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1 },
    { "(a+)+b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0 },
};

Test(regex, the_syntax_is_that_of_re2)
{
    static char attributes[256], constants[256];
    for (size_t k = 0; k < sizeof matches / sizeof *matches; k++) {
        snprintf(attributes, sizeof attributes, "\"pattern\": {\"string\": \"%s\"}",
                 matches[k].pattern);
        snprintf(constants, sizeof constants,
                 "\"x\": {\"dtype\": \"string\", \"shape\": [1], \"data\": [\"%s\"]}",
                 matches[k].text);
        const one_node c = { matches[k].pattern, "20",       NULL,
                             "RegexFullMatch",   attributes, "\"x\"",
                             constants,          1,          matches[k].matches ? "1" : "0" };
        run_case(&c, check_numbers);
    }
}

#define REGEX(pattern)                                                                             \
    "20", NULL, "RegexFullMatch", "\"pattern\": {\"string\": \"" pattern "\"}", "\"x\"",           \
        X("1", "\"a\""), 1

Test(regex, what_is_wrong_is_said)
{
    static const one_node cases[] = {
        { "open", REGEX("(a"), "pattern '(a': ')' is missing at byte 2" },
        { "close", REGEX("a)"), "pattern 'a)': ')' stands without '(' at byte 1" },
        { "set", REGEX("[a"), "pattern '[a': ']' is missing at byte 2" },
        { "star", REGEX("*a"), "there is nothing to repeat at byte 0" },
        { "twice", REGEX("a**"), "two repeats follow each other at byte 2" },
        { "many", REGEX("a{1001}"), "the bounds of a repeat are wrong (1000 is the most)" },
        { "large", REGEX("((a{100}){100}){100}"), "the pattern is too large" },
        { "range", REGEX("[b-a]"), "a range is the wrong way round" },
        { "ahead", REGEX("(?=a)"), "this flag is not known" },
        { "behind", REGEX("(?<=a)"), "looking around is not RE2" },
        { "reference", REGEX("(a)\\\\1"), "references to groups do not exist" },
        { "script", REGEX("\\\\p{Greek}"),
          "no category of Unicode (scripts are not known here) at byte 9" },
        { "category", REGEX("\\\\pX"), "no category of Unicode (scripts are not known here)" },
        { "nameless", REGEX("\\\\p{}"), "no category of Unicode" },
        { "unclosed", REGEX("\\\\p{L"), "'}' is missing at byte 4" },
        { "bare", REGEX("\\\\P"), "\\p wants a name at byte 2" },
        { "byte", REGEX("\\\\C"), "single bytes (\\C) are not known here" },
        { "none", "20", NULL, "RegexFullMatch", NULL, "\"x\"", X("1", "\"a\""), 1,
          "pattern is missing" },
    };
    EACH(cases, refuse_case(&cases[k]));
}

Test(text, pieces_and_words)
{
    static const one_node cases[] = {
        { "split keeps what follows the last split", "20", NULL, "StringSplit",
          "\"maxsplit\": {\"int\": 1}", "\"x\"", X("2", "\" a b  c \", \"d\""), 2, "a|b  c |d|" },
        { "split at a delimiter", "20", NULL, "StringSplit", "\"delimiter\": {\"string\": \"--\"}",
          "\"x\"", X("2", "\"a--b--\", \"-\""), 2, "a|b||-||" },
        { "no text is one empty piece", "20", NULL, "StringSplit",
          "\"delimiter\": {\"string\": \",\"}", "\"x\"", X("2", "\"\", \"a,b\""), 2, "||a|b" },
        { "upper", "10", NULL, "StringNormalizer",
          "\"case_change_action\": {\"string\": \"UPPER\"}", "\"x\"",
          X("1,2", "\"\xc3\xa9\", \"\xd0\xb6z\""), 1, "\xc3\x89|\xd0\x96Z" },
        { "stop words of any case", "10", NULL, "StringNormalizer",
          "\"stopwords\": {\"strings\": [\"\xc3\x89T\xc3\x89\"]}", "\"x\"",
          X("2", "\"\xc3\xa9t\xc3\xa9\", \"b\""), 1, "b" },
        { "stop words of one case", "10", NULL, "StringNormalizer",
          "\"is_case_sensitive\": {\"int\": 1}, \"stopwords\": {\"strings\": [\"A\", \"b\"]}",
          "\"x\"", X("2", "\"a\", \"b\""), 1, "a" },
        { "concat", "20", NULL, "StringConcat", NULL, "\"x\", \"y\"",
          X("2,1", "\"a\", \"\"") "," T("y", "string", "2", "\"1\", \"2\""), 1, "a1|a2|1|2" },
    };
    EACH(cases, run_case(&cases[k], check_texts));
}

/* The pool: a, b; then a b, b a; counted at 0, 1, 2, 3 with weights 1, 2, 3, 4. */
#define GRAMS(low, skip, mode)                                                                     \
    "9", NULL, "TfIdfVectorizer",                                                                  \
        "\"min_gram_length\": {\"int\": " low "}, \"max_gram_length\": {\"int\": 2},"              \
        " \"max_skip_count\": {\"int\": " skip "}, \"mode\": {\"string\": \"" mode "\"},"          \
        " \"ngram_counts\": {\"ints\": [0, 2]}, \"ngram_indexes\": {\"ints\": [0, 1, 2, 3]},"      \
        " \"weights\": {\"floats\": [1, 2, 3, 4]},"                                                \
        " \"pool_strings\": {\"strings\": [\"a\", \"b\", \"a\", \"b\", \"b\", \"a\"]}",            \
        "\"x\""
#define WORDS X("2,4", "\"a\", \"b\", \"b\", \"a\", \"c\", \"a\", \"c\", \"b\"")

Test(tfidf, each_mode_counts_texts)
{
    static const one_node cases[] = {
        { "TF", GRAMS("1", "0", "TF"), WORDS, 1, "2 2 1 1 1 1 0 0" },
        { "IDF", GRAMS("1", "0", "IDF"), WORDS, 1, "1 2 3 4 1 2 0 0" },
        { "TFIDF", GRAMS("1", "0", "TFIDF"), WORDS, 1, "2 4 3 4 1 2 0 0" },
        { "skips", GRAMS("2", "1", "TF"), WORDS, 1, "0 0 2 2 0 0 1 0" },
    };
    EACH(cases, run_case(&cases[k], check_numbers));
}

Test(tfidf, what_is_wrong_is_said)
{
    static const one_node cases[] = {
        { "mode", GRAMS("1", "0", "BM25"), WORDS, 1, "mode is 'BM25': expected TF, IDF or TFIDF" },
        { "low", GRAMS("0", "0", "TF"), WORDS, 1, "min_gram_length is 0: expected 1 or more" },
        { "numbers", GRAMS("1", "0", "TF"), T("x", "int64", "2", "1,2"), 1,
          "input 'X' holds numbers: expected texts, as the pool does" },
        { "action", "10", NULL, "StringNormalizer",
          "\"case_change_action\": {\"string\": \"TITLE\"}", "\"x\"", WORDS, 1,
          "case_change_action is 'TITLE': expected NONE, LOWER or UPPER" },
    };
    EACH(cases, refuse_case(&cases[k]));
}
