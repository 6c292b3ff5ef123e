//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package node

import (
	"os/exec"
	"syscall"
)

const canChroot = true

// chroot makes a directory the command's root.
func chroot(cmd *exec.Cmd, root string) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	cmd.Dir = "/"
}
