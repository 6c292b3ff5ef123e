package main

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDurationsOfFlagsAreWrittenAsInTheConfiguration(t *testing.T) {
	a := cli(t, "silence", "add", "--data-dir", t.TempDir(), "--for", "2d", "--comment", "new disks", "node=worker-3")
	require.Contains(t, a.err, "nothing runs on the data directory", "2d is taken")
	for wrong, mend := range map[string]string{
		"2": "2h for hours", "soon": "1h30m", "": "write one such as", "-2h": "cannot be negative",
	} {
		a := cli(t, "silence", "add", "--for", wrong, "--comment", "new disks", "node=worker-3")
		require.Equal(t, exitUsage, a.code, wrong)
		require.Contains(t, a.err, "--for", wrong)
		require.Contains(t, a.err, mend, wrong)
	}
	require.Zero(t, cli(t, "demo", "--for", "0").code, "none needs no unit")
	path := t.TempDir() + "/a.fwrec"
	require.Contains(t, cli(t, "record", "--out", path, "--since", "2d", "--until", "3d", "testdata/cart.log").err, "--since is not before --until")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.Contains(t, cli(t, "record", "--out", path, "testdata/cart.log").err, "name another one with --out")
}

func TestAnAddressThatCannotBeListenedOnIsTheOnlyThingTold(t *testing.T) {
	a := cli(t, "run", "--data-dir", t.TempDir(), "--listen", "nonsense")
	require.Equal(t, exitUsage, a.code)
	require.Regexp(t, `^forewarn: --listen: address nonsense: .*: write an address and a port, such as `, a.err)

	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	a = cli(t, "run", "--data-dir", t.TempDir(), "--listen", taken.Addr().String())
	require.Equal(t, exitFailure, a.code)
	require.Contains(t, a.err, "choose another address or port with --listen")
	require.NotContains(t, a.err, "canceled", "that other parts were stopped is no news")
}

func TestJSONOutputHasTextsAsTheyWereWritten(t *testing.T) {
	var out buffer
	g := &globals{stdio: stdio{out: &out}, output: "json"}
	require.NoError(t, g.print("logs <pod> && echo", nil))
	require.Equal(t, "\"logs <pod> && echo\"\n", out.String())
}
