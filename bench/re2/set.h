#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
struct bench_set;
struct bench_set *bench_set_new(void);
void bench_set_free(struct bench_set *s);
int bench_set_add(struct bench_set *s, const char *expression);
int bench_set_compile(struct bench_set *s);
long long bench_set_count(struct bench_set *s, const char *text, const uint32_t *ends, size_t n);
#ifdef __cplusplus
}
#endif
