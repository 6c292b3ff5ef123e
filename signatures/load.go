package signatures

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxDirs is how deep directories are searched; a loop of links ends there.
const maxDirs = 16

// Foreign reads files of another language into signatures. mine is false for a file that it does not know.
type Foreign func(file string, src []byte) (signatures []*Signature, problems []Problem, mine bool)

// Load reads files and directories, those recursively for *.yaml and *.yml; names that begin with a dot are passed over. A path that is
// a file is read whatever its name. It returns the signatures that are sound, and all that is wrong: one bad file does not stop the others.
func Load(paths []string, opts Options) (*Set, []Problem) {
	return opts.set(readPaths(paths))
}

// LoadFS is [Load] for a file system, such as the embedded catalogue.
func LoadFS(fsys fs.FS, opts Options) (*Set, []Problem) {
	var sources []sourceFile
	var problems []Problem
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			problems = append(problems, fileProblem(name, err))
			return nil
		}
		if name != "." && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || !isYAML(name) {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			problems = append(problems, fileProblem(name, err))
			return nil
		}
		sources = append(sources, sourceFile{name, src})
		return nil
	})
	if err != nil {
		problems = append(problems, fileProblem(".", err))
	}
	return opts.set(sources, problems)
}

// sourceFile is a file's content.
type sourceFile struct {
	path string
	text []byte
}

func fileProblem(name string, err error) Problem {
	message := err.Error()
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		message = pe.Op + ": " + pe.Err.Error()
	}
	return Problem{File: name, Severity: LevelError, Message: message}
}

// isYAML knows YAML by its name, packed or not; what is packed only a Foreign reads.
func isYAML(name string) bool {
	ext := path.Ext(strings.TrimSuffix(name, ".gz"))
	return ext == ".yaml" || ext == ".yml"
}

// FileInfo is what is known of a file without reading it.
type FileInfo struct {
	Path          string
	Size, ModTime int64 // ModTime in Unix nanoseconds
}

// List finds the files that [Load] would read, in the order in which it would, and reads none of them. A file that is met twice is listed once.
func List(paths []string) ([]FileInfo, []Problem) {
	l := lister{seen: make(map[string]bool)}
	for _, p := range paths {
		l.visit(filepath.Clean(p), 0)
	}
	return l.files, l.problems
}

type lister struct {
	files    []FileInfo
	problems []Problem
	seen     map[string]bool
}

func (l *lister) visit(name string, depth int) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		l.problems = append(l.problems, fileProblem(name, err))
	case info.IsDir() && depth > maxDirs:
		l.problems = append(l.problems, Problem{
			File: name, Severity: LevelError,
			Message: fmt.Sprintf("directories are nested deeper than %d", maxDirs), Suggestion: "look for a link that leads back",
		})
	case info.IsDir():
		l.dir(name, depth)
	case !info.Mode().IsRegular():
		l.problems = append(l.problems, Problem{File: name, Severity: LevelError, Message: "not a regular file"})
	case !l.seen[name]:
		l.seen[name] = true
		l.files = append(l.files, FileInfo{Path: name, Size: info.Size(), ModTime: info.ModTime().UnixNano()})
	}
}

func (l *lister) dir(name string, depth int) {
	entries, err := os.ReadDir(name) // sorted
	if err != nil {
		l.problems = append(l.problems, fileProblem(name, err))
	}
	for _, e := range entries {
		// A mounted ConfigMap holds ..data and the directory that it links to; its files are linked to by their own names.
		if strings.HasPrefix(e.Name(), ".") || e.Type().IsRegular() && !isYAML(e.Name()) {
			continue
		}
		full := filepath.Join(name, e.Name())
		if e.Type()&fs.ModeSymlink != 0 && !isYAML(e.Name()) {
			if target, err := os.Stat(full); err != nil || !target.IsDir() {
				continue
			}
		}
		l.visit(full, depth+1)
	}
}

// readPaths reads all files that are listed.
func readPaths(paths []string) ([]sourceFile, []Problem) {
	files, problems := List(paths)
	sources := make([]sourceFile, 0, len(files))
	for i := range files {
		text, err := readFile(files[i].Path)
		if err != nil {
			problems = append(problems, fileProblem(files[i].Path, err))
			continue
		}
		sources = append(sources, sourceFile{files[i].Path, text})
	}
	return sources, problems
}

// ReadFile reads one file as [Load] does, unless what is in it has the known hash: then changed is false and nothing is parsed.
// Problems are all that is wrong; signatures are those without an error.
func (o Options) ReadFile(name string, known [sha256.Size]byte) (f File, changed bool, signatures []*Signature, problems []Problem) {
	text, err := readFile(name)
	if err != nil {
		return File{Path: name}, true, nil, []Problem{fileProblem(name, err)}
	}
	f = File{Path: name, Hash: sha256.Sum256(text)}
	if f.Hash == known {
		return f, false, nil, nil
	}
	signatures, problems = o.read(name, text)
	return f, true, signatures, problems
}

// readFile reads a file, but not much more of it than Parse accepts.
func readFile(name string) (text []byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read signatures: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read signatures: %w", err)
	}
	return text, nil
}

// set parses the files.
func (o Options) set(sources []sourceFile, problems []Problem) (*Set, []Problem) {
	var all []*Signature
	for _, src := range sources {
		more, wrong := o.read(src.path, src.text)
		all, problems = append(all, more...), append(problems, wrong...)
	}
	set, more := NewSet(all)
	return set, sortProblems(append(problems, more...))
}

func (o Options) read(file string, src []byte) ([]*Signature, []Problem) {
	if o.Foreign != nil {
		if signatures, problems, mine := o.Foreign(file, src); mine {
			return signatures, problems
		}
	}
	return o.Parse(file, src)
}
