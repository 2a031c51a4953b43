/* Pickles that PyTorch could have written, and such as want to do harm. Each of these differs in
 * one thing from one that is read. */
#include "build_pth.h"

/* A pickle beside one storage of eight bytes with key "0". */
static void make_pth(const char *pickle, size_t size)
{
    member members[] = {member_of("r/data.pkl", pickle, size),
                        member_of("r/data/0", numbers, sizeof numbers)};
    make_zip(members, 2);
}

static const pickle_case readable[] = {
    CASE(HOLDING(GOOD_TENSOR), ""),
    CASE(HOLDING("ctorch._utils\n_rebuild_tensor\n(" STORAGE "K\0K\2\x85K\1\x85tR"), "version 1"),
    CASE(HOLDING("ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE_OF(
             "ctorch.storage\nUntypedStorage\n", "0",
             "K\x08") "K\0K\2\x85K\1\x85\x89}ctorch\nfloat32\ntR"),
         "version 3, as newer PyTorch writes types without a storage class"),
    CASE(HOLDING("ctorch._utils\n_rebuild_parameter\n(" GOOD_TENSOR "\x88}tR"), "a parameter"),
    CASE(WITH_LAYOUT("K\0", "ctorch\nSize\nK\2\x85\x85R", "K\1\x85"), "torch.Size"),
    CASE(WITH_STORAGE(STORAGE_OF("ctorch\nFloatStorage\n", "0", "\x8a\1\2")), "a long integer"),
    CASE("ccollections\nOrderedDict\n]](U\1a" GOOD_TENSOR "ea\x85R.", "Python 2's OrderedDict"),
    CASE("ccollections\nOrderedDict\n)R(" TEXT("\1", "a") GOOD_TENSOR "u}" TEXT("\1", "m") "Nsb.",
         "attributes"),
    CASE("}q\0(" TEXT("\1", "a") GOOD_TENSOR TEXT("\1", "b") "h\0u.", "a dict that holds itself"),
};

static const pickle_case hostile[] = {
    /* names that would be called */
    CASE("\x80\2"
         "cos\nsystem\n" TEXT("\2", "id") "\x85R.",
         "it asks for os.system"),
    CASE("c__builtin__\neval\n" TEXT("\1", "1") "\x85R.", "it asks for __builtin__.eval"),
    CASE("ctorch\nload\n.", "it asks for torch.load"),
    CASE("ccollections\nOrderedDict.x\n.", "it asks for collections.OrderedDict.x"),
    CASE("cos\x1b[2J\nx\n.", "it asks for os?[2J.x"),
    CASE("(ios\nsystem\n.", "operation 0x69 INST"),
    CASE("(N"
         "o.",
         "operation 0x6f OBJ"),
    CASE("ccollections\nOrderedDict\n)\x81.", "operation 0x81 NEWOBJ"),
    CASE("}}}\x92.", "operation 0x92 NEWOBJ_EX"),
    CASE(TEXT("\2", "os") TEXT("\6", "system") "\x93.", "operation 0x93 STACK_GLOBAL"),
    CASE("\x82\1.", "operation 0x82 EXT1"),
    CASE("\x83\1\1.", "operation 0x83 EXT2"),
    CASE("\x84\1\1\1\1.", "operation 0x84 EXT4"),
    CASE("Px\n.", "operation 0x50 PERSID"),
    CASE("I1\n.", "operation 0x49"),
    CASE("\x80\4.", "pickle protocol 4"),
    CASE("ctorch\nFloatStorage\n)R.", "torch.FloatStorage is called"),
    CASE("ctorch\nfloat32\n)R.", "torch.float32 is called"),
    CASE("K\1)R.", "REDUCE on an int"),
    CASE("ccollections\nOrderedDict\n}R.", "REDUCE on a dict"),
    CASE("ccollections\nOrderedDict\nK\1\x85R.", "wrong arguments for collections.OrderedDict"),
    CASE("ccollections\nOrderedDict\n]K\1a\x85R.", "wrong arguments for collections.OrderedDict"),
    CASE("ccollections\nOrderedDict\n])a\x85R.", "wrong arguments for collections.OrderedDict"),
    CASE("ctorch\nSize\n)R.", "wrong arguments for torch.Size"),
    CASE("ctorch._utils\n_rebuild_parameter\n)R.", "wrong arguments for torch._utils"),
    CASE("ctorch._utils\n_rebuild_tensor_v2\n)R.", "wrong arguments for torch._utils"),
    /* containers that are none: CVE-2026-24747 wrote through SETITEM on a tensor */
    CASE(")" TEXT("\1", "a") "K\1s.", "SETITEM on a tuple"),
    CASE(GOOD_TENSOR "K\0K\1s.", "SETITEM on a tensor"),
    CASE(STORAGE "K\0K\1s.", "SETITEM on a storage"),
    CASE("](K\1K\2u.", "SETITEM on a list"),
    CASE("}(K\1u.", "a key that has no value"),
    CASE("}K\1a.", "APPEND on a dict"),
    CASE(")(K\1e.", "APPEND on a tuple"),
    CASE("]}b.", "BUILD on a list"),
    CASE(GOOD_TENSOR "}b.", "BUILD on a tensor"),
    CASE("ccollections\nOrderedDict\n}b.", "BUILD on a global"),
    /* stack and memo */
    CASE("s", "the stack has fewer than 2 values"),
    CASE("a", "the stack has fewer than 1 values"),
    CASE("R", "the stack has fewer than 1 values"),
    CASE("b", "the stack has fewer than 1 values"),
    CASE("Q", "the stack has fewer than 1 values"),
    CASE("N\x86", "the stack has fewer than 2 values"),
    CASE("N(\x85", "the stack has fewer than 1 values"),
    CASE("}(K\1s", "the stack has fewer than 2 values"),
    CASE("Nt", "no mark on the stack"),
    CASE("}u", "no mark on the stack"),
    CASE("]e", "no mark on the stack"),
    CASE(".", "ends with 0 values"),
    CASE("NN.", "ends with 2 values"),
    CASE("N(.", "ends with 1 values"),
    CASE("h\5.", "memo 5 was never set"),
    CASE("Nq\5h\6.", "memo 6 was never set"),
    CASE("j\xff\xff\xff\xff.", "memo 4294967295 was never set"),
    CASE("Nr\xff\xff\xff\xff.", "memo 4294967295 is beyond"),
    CASE("q\0.", "the stack has fewer than 1 values"),
    /* lengths */
    CASE("", "truncated"),
    CASE("N", "truncated"),
    CASE("J\1\2\3", "truncated"),
    CASE("G1234567", "truncated"),
    CASE("X\xff\xff\0\0.", "truncated"),
    CASE("X\1\0\1\0.", "a text of 65537 bytes"),
    CASE("X\xff\xff\xff\xff.", "a text of 4294967295 bytes"),
    CASE("T\xff\xff\xff\x7f.", "a text of 2147483647 bytes"),
    CASE("U\xff.", "truncated"),
    CASE("\x8a\x09"
         "123456789.",
         "an integer of 9 bytes"),
    CASE("\x8a\x08"
         "1234567",
         "truncated"),
    CASE("ccollections", "a name without an end"),
    CASE("ccollections\nOrderedDict", "a name without an end"),
    /* storages */
    CASE("K\1Q.", "BINPERSID on an int"),
    CASE(")Q.", "not the reference to a storage"),
    CASE("(" TEXT("\6", "module") "NNNtQ.", "a whole model was saved"),
    CASE(WITH_STORAGE(STORAGE_OF("ctorch\nfloat32\n", "0", "K\2")), "not the reference"),
    CASE(WITH_STORAGE(STORAGE_OF("ctorch\nFloatStorage\n", "0", MINUS_1)), "impossible size"),
    CASE(WITH_STORAGE(STORAGE_OF("ctorch\nFloatStorage\n", "0", "K\3")),
         "storage 0 has 8 bytes, not 3 of FloatStorage"),
    CASE(WITH_STORAGE(STORAGE_OF("ctorch\nFloatStorage\n", "0", "K\1")), "storage 0 has 8 bytes"),
    CASE(WITH_STORAGE(STORAGE_OF("ctorch\nDoubleStorage\n", "0", "K\2")), "storage 0 has 8 bytes"),
    CASE(WITH_STORAGE(STORAGE_OF("ctorch\nFloatStorage\n", "0", HUGE_62)), "storage 0 has 8 bytes"),
    CASE(WITH_STORAGE(STORAGE_OF("ctorch\nFloatStorage\n", "1", "K\2")), "no zip member for"),
    CASE(HOLDING("ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE "K\0K\2\x85K\1\x85\x89}"
                 "ctorch\nfloat32\ntR"),
         "wrong arguments for torch._utils._rebuild_tensor_v3"),
    CASE(HOLDING("ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE_OF(
             "ctorch\nUntypedStorage\n", "0", "K\x08") "K\0K\2\x85K\1\x85\x89}ctorch\nint8\ntR"),
         "tensor a is of type int8"),
    CASE(HOLDING("ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE_OF(
             "ctorch\nUntypedStorage\n", "0", "K\x08") "K\0K\2\x85K\1\x85\x89}ctorch\nint64\ntR"),
         "reaches outside its storage of 1 elements"),
    /* tensors */
    CASE(WITH_LAYOUT(MINUS_1, "K\2\x85", "K\1\x85"), "negative size, stride or offset"),
    CASE(WITH_LAYOUT("K\0", MINUS_1 "\x85", "K\1\x85"), "negative size, stride or offset"),
    CASE(WITH_LAYOUT("K\1", "K\2\x85", MINUS_1 "\x85"), "negative size, stride or offset"),
    CASE(WITH_LAYOUT("K\0", "N\x85", "K\1\x85"), "negative size, stride or offset"),
    CASE(WITH_LAYOUT("K\1", "K\2\x85", "K\1\x85"), "reaches outside its storage of 2 elements"),
    CASE(WITH_LAYOUT("K\0", "K\3\x85", "K\1\x85"), "reaches outside its storage of 2 elements"),
    CASE(WITH_LAYOUT("K\0", "K\2\x85", "K\2\x85"), "reaches outside its storage of 2 elements"),
    CASE(WITH_LAYOUT("K\2", ")", ")"), "reaches outside its storage of 2 elements"),
    CASE(WITH_LAYOUT(HUGE_62, "K\2\x85", "K\1\x85"), "reaches outside"),
    CASE(WITH_LAYOUT("K\0", "K\2\x85", HUGE_62 "\x85"), "reaches outside"),
    CASE(WITH_LAYOUT("K\0", "K\5\x85", HUGE_62 "\x85"), "reaches outside"),
    CASE(WITH_LAYOUT("K\0", HUGE_62 "\x85", "K\0\x85"), "impossible shape"),
    CASE(WITH_LAYOUT("K\0", HUGE_62 HUGE_62 "\x86", "K\0K\0\x86"), "impossible shape"),
    CASE(WITH_LAYOUT("K\0", "J\0\0\0\x40K\4\x86", "K\0K\0\x86"), "far more memory"),
    CASE(WITH_LAYOUT("K\0", "K\2K\1\x86", "K\1\x85"), "2 dimensions with 1 strides"),
    CASE(WITH_LAYOUT("K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t"),
         "9 dimensions"),
    /* names */
    CASE("}(" TEXT("\1", "a") GOOD_TENSOR TEXT("\1", "a") GOOD_TENSOR "u.",
         "two tensors are named"),
    CASE("}" TEXT("\1", "\xff") GOOD_TENSOR "s.", "is not UTF-8"),
    CASE("}" TEXT("\2", "a\0") GOOD_TENSOR "s.", "is not UTF-8"),
    CASE("}K\1" GOOD_TENSOR "s.", "a tensor's name is an int"),
    CASE("}q\0" TEXT("\x0a", "state_dict") "h\0s.", "holds tensors, but state_dict (a dict)"),
    CASE("}.", "holds tensors, but nothing"),
    CASE(GOOD_TENSOR ".", "holds a tensor, not a state dict"),
};

START_TEST(pickles_beyond_todays_torch_save_are_read)
{
    for (int i = 0; i < COUNT_OF(readable); ++i) {
        make_pth(readable[i].pickle, readable[i].size);
        accept_made(1);
    }
}
END_TEST

START_TEST(hostile_pickles_are_refused)
{
    for (int i = 0; i < COUNT_OF(hostile); ++i) {
        make_pth(hostile[i].pickle, hostile[i].size);
        refuse_made(hostile[i].message);
    }
}
END_TEST

static void make_repeated(const char *unit, size_t size, size_t times)
{
    char *pickle = malloc(size * times + 2);
    pickle[0] = ')';
    for (size_t i = 0; i < times; ++i)
        memcpy(pickle + 1 + i * size, unit, size);
    pickle[1 + size * times] = '.';
    make_pth(pickle, size * times + 2);
    free(pickle);
}

START_TEST(nothing_grows_without_bound)
{
    make_repeated("\x85", 1, 200000); /* a tuple nested that deep: nobody recurses into it */
    refuse_made("holds a tuple");
    make_repeated("(", 1, 200000);
    refuse_made("more than 1000 marks on the stack");
    make_repeated("N", 1, 200000);
    refuse_made("more than 65536 values on the stack");
    make_repeated("\x86", 1, 1);
    refuse_made("fewer than 2 values");
}
END_TEST

SUITE("pickle", TEST(pickles_beyond_todays_torch_save_are_read), TEST(hostile_pickles_are_refused),
      TEST(nothing_grows_without_bound))
