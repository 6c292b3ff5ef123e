//go:build re2 && cgo

#include "set.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <vector>

static RE2::Options options() {
	RE2::Options o;
	o.set_max_mem(4LL << 30);
	o.set_encoding(RE2::Options::EncodingLatin1);
	o.set_log_errors(false);
	return o;
}

struct bench_set {
	RE2::Set set{options(), RE2::UNANCHORED};
	std::vector<int> found;
};

struct bench_set *bench_set_new(void) { return new bench_set; }
void bench_set_free(struct bench_set *s) { delete s; }
int bench_set_add(struct bench_set *s, const char *expression) { return s->set.Add(expression, nullptr) >= 0; }
int bench_set_compile(struct bench_set *s) { return s->set.Compile(); }

long long bench_set_count(struct bench_set *s, const char *text, const uint32_t *ends, size_t n) {
	long long all = 0;
	uint32_t from = 0;
	for (size_t i = 0; i < n; i++) {
		RE2::Set::ErrorInfo error;
		if (s->set.Match(re2::StringPiece(text + from, ends[i] - from), &s->found, &error)) {
			all += s->found.size();
		} else if (error.kind != RE2::Set::kNoError) {
			return -1;
		}
		from = ends[i] + 1;
	}
	return all;
}
