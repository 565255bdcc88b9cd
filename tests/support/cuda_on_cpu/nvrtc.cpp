// libnvrtc.so: a program's machine code is its source, behind the options, which start with "cuda_on_cpu". kernels.py
// compiles it when it is loaded.

#include <cstring>
#include <string>

struct Program {
    std::string source, result;
};

extern "C" {

const char *nvrtcGetErrorString(int) { return "not in this NVRTC"; }
int nvrtcVersion(int *major, int *minor) { *major = 13, *minor = 0; return 0; }
int nvrtcCreateProgram(Program **program, const char *source, const char *, int headers, const char **, const char **) {
    *program = new Program{source, ""};
    return headers ? 5 : 0;  // an option that nobody here uses
}
int nvrtcDestroyProgram(Program **program) { delete *program; return 0; }
int nvrtcCompileProgram(Program *program, int count, const char **options) {
    program->result = "cuda_on_cpu\n";
    for (int i = 0; i < count; i++) program->result += std::string(options[i]) + "\n";
    program->result += "\n" + program->source;
    return 0;
}
int nvrtcGetCUBINSize(Program *program, size_t *size) { *size = program->result.size() + 1; return 0; }
int nvrtcGetCUBIN(Program *program, char *to) { strcpy(to, program->result.c_str()); return 0; }
int nvrtcGetPTXSize(Program *program, size_t *size) { return nvrtcGetCUBINSize(program, size); }
int nvrtcGetPTX(Program *program, char *to) { return nvrtcGetCUBIN(program, to); }
int nvrtcGetProgramLogSize(Program *, size_t *size) { *size = 1; return 0; }
int nvrtcGetProgramLog(Program *, char *to) { *to = 0; return 0; }
// An instance of a template goes by the name it was asked for with.
int nvrtcAddNameExpression(Program *program, const char *name) {
    program->source += std::string("\n// instance: ") + name + "\n";
    return 0;
}
int nvrtcGetLoweredName(Program *, const char *name, const char **lowered) { *lowered = name; return 0; }
int nvrtcGetNumSupportedArchs(int *count) { *count = 2; return 0; }
int nvrtcGetSupportedArchs(int *architectures) { architectures[0] = 75, architectures[1] = 80; return 0; }

}  // extern "C"
