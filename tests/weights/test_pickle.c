/* Programs for the pickle machine, written by hand after Python's pickletools, and what they mean as JSON. */
#include "weights/fixture.h"

#include "weights/pickle.h"

static int run(const void *bytes, size_t n, char *json, size_t room)
{
    p_vm vm = { .arena = sm_arena_new() };
    uint8_t *copy = malloc(n ? n : 1);
    const p_value *v = NULL;
    sm_buffer out = { 0 };
    size_t used = 0, budget = 1000;
    sm_json j;
    assert_non_null(vm.arena);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    int err = p_run(&vm, copy, n, &v, &used);
    sm_json_init(&j, &out, false);
    if (err == 0)
        err = p_json(v, &j, &budget);
    if (err == 0)
        snprintf(json, room, "%s", out.data);
    sm_buffer_free(&out);
    p_free(&vm);
    sm_arena_free(vm.arena);
    free(copy);
    return err;
}

#define CASE(program, json)                                                                                            \
    {                                                                                                                  \
        program, sizeof(program) - 1, json                                                                             \
    }

static void programs_mean_what_python_says(void **state)
{
    static const struct {
        const char *program;
        size_t n;
        const char *json;
    } cases[] = {
        CASE("\x80\2N.", "null"),
        CASE("\x80\2\x88.", "true"),
        CASE("\x80\2K\xFF.", "255"),
        CASE("\x80\2M\xFF\xFF.", "65535"),
        CASE("\x80\2J\xFF\xFF\xFF\xFF.", "-1"),
        CASE("\x80\2\x8A\0.", "0"),
        CASE("\x80\2\x8A\1\xFF.", "-1"),
        CASE("\x80\2\x8A\2\xFF\0.", "255"),
        CASE("\x80\2\x8A\x08\0\0\0\0\0\0\0\x80.", "-9223372036854775808"),
        CASE("\x80\2\x8B\2\0\0\0\0\1.", "256"),
        CASE("\x80\2\x8A\x09\0\0\0\0\0\0\0\0\1.", "null"), /* 2^64: beyond what counts */
        CASE("\x80\2G\x3F\xE0\0\0\0\0\0\0.", "0.5"),
        CASE("\x80\2G\x7F\xF0\0\0\0\0\0\0.", "\"inf\""),
        CASE("I42\n.", "42"), /* protocol 0 has no header */
        CASE("I01\n.", "true"),
        CASE("L-7L\n.", "-7"),
        CASE("F2.5\n.", "2.5"),
        CASE("S'ab'\n.", "\"ab\""),
        CASE("Vab\n.", "\"ab\""),
        CASE("(lp0\nI1\naI2\na.", "[1,2]"),
        CASE("(dS'a'\nI1\ns.", "{\"a\":1}"),
        CASE("(I1\nI2\nt.", "[1,2]"),
        CASE("\x80\2X\2\0\0\0ab.", "\"ab\""),
        CASE("\x80\4\x8C\2ab\x94.", "\"ab\""),
        CASE("\x80\4\x95\3\0\0\0\0\0\0\0K\1.", "1"),
        CASE("\x80\2](K\1K\2e.", "[1,2]"),
        CASE("\x80\2]K\1a.", "[1]"),
        CASE("\x80\2}K\1K\2s.", "{\"1\":2}"),
        CASE("\x80\2}(X\1\0\0\0aK\1X\1\0\0\0bK\2u.", "{\"a\":1,\"b\":2}"),
        CASE("\x80\2).", "[]"),
        CASE("\x80\2K\1\x85.", "[1]"),
        CASE("\x80\2K\1K\2\x86.", "[1,2]"),
        CASE("\x80\2K\1K\2K\3\x87.", "[1,2,3]"),
        CASE("\x80\4\x8F(K\1K\2\x90.", "[1,2]"),
        CASE("\x80\4(K\1\x91.", "[1]"),
        CASE("\x80\2K\1q\0K\2h\0\x86.", "[2,1]"),
        CASE("\x80\2K\1q\0"
             "0h\0.",
             "1"),
        CASE("\x80\2K\1K\2"
             "0.",
             "1"),
        CASE("\x80\2K\5"
             "2\x86.",
             "[5,5]"),
        CASE("\x80\2K\1(K\2K\3"
             "1.",
             "1"),
        CASE("\x80\4K\1\x94K\2\x94h\0h\1\x86\x85.", "[[1,2]]"),
        CASE("\x80\2cfractions\nFraction\nX\3\0\0\0"
             "3/4\x85R.",
             "{\"_type\":\"fraction\",\"numerator\":3,\"denominator\":4}"),
        CASE("\x80\4\x8C\x09"
             "fractions\x8C\x08"
             "Fraction\x93K\3K\4\x86R.",
             "{\"_type\":\"fraction\",\"numerator\":3,\"denominator\":4}"),
        CASE("\x80\2ccollections\nOrderedDict\n)R(X\1\0\0\0aK\1u.", "{\"a\":1}"),
        CASE("ccollections\nOrderedDict\n((lp0\n(lp1\nS'k'\naI3\naatR.",
             "{\"k\":3}"), /* as protocol 0 writes it: a list of pairs */
        CASE("\x80\2ctorch\nSize\n(K\2K\3tq\0\x85R.", "[2,3]"),
        CASE("\x80\2c_codecs\nencode\nX\3\0\0\0a\xC3\xBFX\6\0\0\0latin1\x86R.", "null"), /* bytes have no JSON */
        CASE("\x80\2cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\nX\2\0\0\0i4K\0K\1\x87RC\4\xFE\xFF\xFF\xFFtR.",
             "-2"),
        CASE("\x80\2cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\nX\2\0\0\0"
             "f8K\0K\1\x87RC\x08\0\0\0\0\0\0\xE0\x3FtR.",
             "0.5"),
        CASE("\x80\2cargparse\nNamespace\n)\x81}X\1\0\0\0aK\1sb.",
             "{\"_type\":\"argparse.Namespace\",\"state\":{\"a\":1}}"),
        CASE("(idatetime\ndate\n.", "{\"_type\":\"datetime.date\"}"),
        CASE("\x80\2(cdatetime\ndate\nK\1o.", "{\"_type\":\"datetime.date\",\"args\":[1]}"),
        CASE("\x80\2cos\nsystem\n.", "\"os.system\""), /* named only, never called: harmless */
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        char json[300] = "";
        const int err = run(cases[i].program, cases[i].n, json, sizeof json);
        if (err < 0 || strcmp(json, cases[i].json) != 0)
            fail_msg("program %zu: %s; expected %s", i, err < 0 ? sm_last_error() : json, cases[i].json);
    }
}

#define BAD(program, code, message)                                                                                    \
    {                                                                                                                  \
        program, sizeof(program) - 1, code, message                                                                    \
    }

static void bad_programs_are_refused(void **state)
{
    static const struct {
        const char *program;
        size_t n;
        int code;
        const char *message;
    } cases[] = {
        BAD("", SM_EFORMAT, "ends here"),
        BAD("\x80\2", SM_EFORMAT, "ends here"),
        BAD("\x80\2.", SM_EFORMAT, "holds nothing"),
        BAD("\x80\x09N.", SM_EUNSUPPORTED, "protocol 9"),
        BAD("\x80\2\xFF.", SM_EFORMAT, "no operation 0xFF"),
        BAD("\x80\2\x82\1.", SM_EFORMAT, "no operation 0x82"), /* extension registry */
        BAD("\x80\2X\xFF\xFF\xFF\xFF"
            "abc.",
            SM_EFORMAT, "beyond the end"),
        BAD("\x80\4\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
            "abc.",
            SM_EFORMAT, "beyond the end"),
        BAD("\x80\2\x8B\xFF\xFF\xFF\xFF.", SM_EFORMAT, "beyond the end"),
        BAD("\x80\2h\0.", SM_EFORMAT, "was not made"),
        BAD("\x80\2Nr\xFF\xFF\xFF\x7F.", SM_EFORMAT, "out of order"),
        BAD("\x80\2t.", SM_EFORMAT, "mark is missing"),
        BAD("\x80\2K\1\x86.", SM_EFORMAT, "stack is empty"),
        BAD("\x80\2(K\1\x86.", SM_EFORMAT, "stack is empty"),
        BAD("\x80\2K\1K\2a.", SM_EFORMAT, "holds none"),
        BAD("\x80\2}(K\1u.", SM_EFORMAT, "without a value"),
        BAD("\x80\2K\1)R.", SM_EFORMAT, "no class"),
        BAD("\x80\2cos\nsystem\nX\2\0\0\0ls\x85R.", SM_EUNSUPPORTED, "call os.system"),
        BAD("\x80\4\x8C\x08"
            "builtins\x8C\4eval\x93X\1\0\0\0"
            "1\x85R.",
            SM_EUNSUPPORTED, "call builtins.eval"),
        BAD("\x80\2cbuiltins\ngetattr\nNN\x86R.", SM_EUNSUPPORTED, "builtins.getattr"),
        BAD("(iposix\nsystem\n.", SM_EUNSUPPORTED, "posix.system"),
        BAD("\x80\2(csubprocess\nPopen\nK\1o.", SM_EUNSUPPORTED, "subprocess.Popen"),
        BAD("\x80\2cmyclass\nThing\n)\x81.", SM_EUNSUPPORTED, "myclass.Thing"),
        BAD("\x80\2ctorch._utils\n_rebuild_tensor_v2\n)R.", SM_EFORMAT, "make no sense"),
        BAD("\x80\2ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_v2\nN)tR.", SM_EFORMAT,
            "make no sense"),
        BAD("\x80\2NQ.", SM_EFORMAT, "persistent id"),
        BAD("I1", SM_EFORMAT, "no number"),
        BAD("Iabc\n.", SM_EFORMAT, "no number"),
        BAD("S'abc\n.", SM_EFORMAT, "no quotes"),
        BAD("cos\nsystem", SM_EFORMAT, "without a name"),
        BAD("\x80\2}q\0X\1\0\0\0ah\0s.", SM_ELIMIT, "too deep"), /* a dict that holds itself */
    };
    (void)state;
    for (size_t i = 0; i < SM_LENGTH(cases); i++) {
        char json[300] = "";
        const int err = run(cases[i].program, cases[i].n, json, sizeof json);
        if (err != cases[i].code || !strstr(sm_last_error(), cases[i].message))
            fail_msg("program %zu: %s \"%s\"; expected %s with \"%s\"", i, sm_code_name(err),
                     err < 0 ? sm_last_error() : json, sm_code_name(cases[i].code), cases[i].message);
    }
}

/* Ten lists, each ten times the one before it: 10^10 values from 400 bytes. */
static void a_small_program_for_huge_values_is_cut(void **state)
{
    char program[1000], json[16] = "";
    size_t n = 0;
    (void)state;
    memcpy(program, "K\1", 2);
    n = 2;
    for (int level = 0; level < 10; level++) {
        program[n++] = 'q';
        program[n++] = (char)level;
        program[n++] = '0';
        program[n++] = ']';
        program[n++] = '(';
        for (int i = 0; i < 10; i++) {
            program[n++] = 'h';
            program[n++] = (char)level;
        }
        program[n++] = 'e';
    }
    program[n++] = '.';
    assert_int_equal(run(program, n, json, sizeof json), SM_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_mean_what_python_says),
        cmocka_unit_test(bad_programs_are_refused),
        cmocka_unit_test(a_small_program_for_huge_values_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
