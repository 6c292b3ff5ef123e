package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// processes runs this binary once for each component. They die with it, however it ends.
type processes struct {
	dir  string     // working directory; logs are in its logs/
	died chan error // an end that nobody asked for; has room for every component

	mu      sync.Mutex
	running map[string]*process
	args    map[string][]string
}

type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it was waited for
}

func newProcesses(dir string) *processes {
	return &processes{dir: dir, died: make(chan error, 64), running: map[string]*process{}, args: map[string][]string{}}
}

// start runs a component. Its output is added to logs/<name>.log.
func (p *processes) start(name string, args ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running[name] != nil {
		return fmt.Errorf("%s runs already", name)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(p.dir, "logs", name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	run := &process{cmd: exec.Command(self, append([]string{name}, args...)...), ended: make(chan struct{})}
	run.cmd.Stdout, run.cmd.Stderr, run.cmd.Dir = log, log, p.dir
	run.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := run.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	p.running[name], p.args[name] = run, args
	go func() {
		err := run.cmd.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.running[name] == run {
			delete(p.running, name)
			p.died <- fmt.Errorf("%s ended by itself: %v; its log is %s", name, err, log.Name())
		}
		close(run.ended)
	}()
	return nil
}

// stop kills a component and returns when it is gone.
func (p *processes) stop(name string) error {
	p.mu.Lock()
	run := p.running[name]
	delete(p.running, name)
	p.mu.Unlock()
	if run == nil {
		return fmt.Errorf("%s does not run", name)
	}
	_ = run.cmd.Process.Kill() // it may have ended since
	<-run.ended
	return nil
}

func (p *processes) stopAll() {
	p.mu.Lock()
	var names []string
	for name := range p.running {
		names = append(names, name)
	}
	p.mu.Unlock()
	for _, name := range names {
		_ = p.stop(name) // it may have ended since
	}
}

// act does what a line of standard input says, so that a test can break the control plane.
func (p *processes) act(verb, name string) error {
	p.mu.Lock()
	run, args := p.running[name], p.args[name]
	p.mu.Unlock()
	switch verb {
	case "start":
		if args == nil {
			return fmt.Errorf("%s never ran here", name)
		}
		return p.start(name, args...)
	case "stop":
		return p.stop(name)
	case "pause", "resume":
		if run == nil {
			return fmt.Errorf("%s does not run", name)
		}
		if verb == "pause" {
			return run.cmd.Process.Signal(syscall.SIGSTOP)
		}
		return run.cmd.Process.Signal(syscall.SIGCONT)
	}
	return fmt.Errorf("%q is none of stop, start, pause and resume", verb)
}

// freePorts finds ports below the range from which the system serves outgoing connections, so that a component that is
// stopped for a while finds its port free again.
func freePorts(ctx context.Context, n int) ([]string, error) {
	const first, last, tries = 20000, 32000, 1000
	var ports []string
	var lc net.ListenConfig
	for range tries {
		port := strconv.Itoa(first + rand.IntN(last-first))
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			continue
		}
		defer l.Close() // at the end, so that none is found twice
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("no %d free ports among %d tried between %d and %d", n, tries, first, last)
}
