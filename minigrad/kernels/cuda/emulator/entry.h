// How Python calls a kernel: library.py adds one EMULATOR_KERNEL line for each behind the .cu file.

#pragma once
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace emulator {

// A parameter's type in numpy's letters: f4, i8, u2; V and the size for a struct; a * before what a pointer points
// to, followed by c if that is const.
template <class T>
void describe(char *&text) {
    bool is_fp16 = !strcmp(typeid(T).name(), "4fp16");  // common.cuh's
    char letter = is_fp16                       ? 'f'
                  : std::is_class_v<T>          ? 'V'
                  : std::is_same_v<T, bool>     ? 'b'
                  : std::is_floating_point_v<T> ? 'f'
                  : std::is_signed_v<T>         ? 'i'
                                                : 'u';
    text += sprintf(text, "%c%zu", letter, sizeof(T));
}

template <class T>
struct Parameter {
    static void describe(char *&text) { emulator::describe<T>(text); }
};
template <class T>
struct Parameter<T *> {
    static void describe(char *&text) {
        text += sprintf(text, std::is_const_v<T> ? "*c" : "*");
        emulator::describe<std::remove_const_t<T>>(text);
    }
};

template <class... A>
const char *signature(void (*)(A...)) {
    static char buffer[16 * (sizeof...(A) + 1)];
    char *text = buffer;
    ((Parameter<A>::describe(text), *text++ = ' '), ...);
    *text = 0;
    return buffer;
}

template <class... A, size_t... I>
__attribute__((no_sanitize("thread"))) void call(void (*kernel)(A...), void **arguments, std::index_sequence<I...>) {
    kernel(*static_cast<A *>(arguments[I])...);
}

template <class... A>
void call(void (*kernel)(A...), void **arguments) {
    call(kernel, arguments, std::index_sequence_for<A...>());
}

}  // namespace emulator

#define EMULATOR_KERNEL(number, ...)                                                                            \
    extern "C" const char *emulator_signature_##number() { return emulator::signature(&__VA_ARGS__); }            \
    extern "C" void emulator_call_##number(void **arguments) { emulator::call(&__VA_ARGS__, arguments); }
