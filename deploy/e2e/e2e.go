// Package e2e tests forewarn against a real Kubernetes control plane, and a real node where the machine allows one: every failure of
// deploy/testbed/scenarios is brought about, and the records, warnings and restarts that follow are checked.
//
// `make e2e` builds what it needs and runs it. The tests carry the build tag e2e, so that `go test ./...` stays a matter of
// seconds.
package e2e
