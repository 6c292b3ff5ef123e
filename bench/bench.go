// Package bench makes workloads and measures forewarn, and whatever else does the same work, on them.
//
// A workload is data: shapes of log lines, records of other kinds, sets of signatures, how often something matches. It is generated
// from its seed, so that two machines measure the same work, and it knows how many hits and warnings it must raise: a fast wrong
// engine fails. Speeds are told beside those of peers in the same run, because machines are shared and noisy.
package bench
