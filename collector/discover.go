package collector

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// found is a file that a followed path stands for.
type found struct {
	path string // under which it was found, perhaps a symbolic link
	real string // without symbolic links
	home string // the real path that the file has or had: another one than real when it was rotated away
	info fs.FileInfo
}

// rotated reports whether the file had another name when it was written.
func (f *found) rotated() bool { return f.real != f.home }

// discovery looks for files.
type discovery struct {
	known func(path string) bool // whether a path is followed already, although nothing may be there now
	files []found
	dirs  map[string]bool   // where something may happen
	below map[string]string // of the directories in followed ones, by their real paths: what they are called
	seen  map[string]bool   // real paths that were found
}

// discover finds what the paths stand for: the files, what they were before they were rotated, and the directories of both. A path
// that is not there yet is no error.
func discover(paths []string, known func(path string) bool) *discovery {
	d := &discovery{known: known, dirs: map[string]bool{}, below: map[string]string{}, seen: map[string]bool{}}
	for _, p := range paths {
		d.path(p)
	}
	d.homes()
	return d
}

// discoverIn finds what is in some directories of followed ones, which are called otherwise there.
func discoverIn(dirs map[string]string, known func(path string) bool) *discovery {
	d := &discovery{known: known, dirs: map[string]bool{}, below: map[string]string{}, seen: map[string]bool{}}
	for at, called := range dirs {
		d.walkReal(at, called)
	}
	d.homes()
	return d
}

func (d *discovery) path(p string) {
	info, err := os.Stat(p)
	switch {
	case err == nil && info.IsDir():
		d.walk(p)
		return
	case err == nil:
		d.file(p, p, info)
	case strings.ContainsAny(p, "*?["):
		matches, err := filepath.Glob(p)
		if err != nil {
			return // Open has refused it
		}
		for _, m := range matches {
			d.path(m)
		}
		if dir := filepath.Dir(p); !strings.ContainsAny(dir, "*?[") {
			d.dirs[dir] = true
		}
		return
	}
	at := resolve(p)
	d.dirs[filepath.Dir(at)] = true
	d.siblings(at)
}

// walk takes a directory and those in it.
func (d *discovery) walk(root string) { d.walkReal(resolve(root), root) }

func (d *discovery) walkReal(base, root string) {
	_ = filepath.WalkDir(base, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a directory that went away while we look, or one that we may not read
		}
		shown := root + strings.TrimPrefix(p, base)
		switch {
		case p != base && strings.HasPrefix(e.Name(), "."):
			if e.IsDir() {
				return filepath.SkipDir
			}
		case e.IsDir():
			d.dirs[p], d.below[p] = true, shown
		case e.Type().IsRegular():
			if info, err := e.Info(); err == nil {
				d.add(found{path: shown, real: p, info: info})
			}
		case e.Type()&fs.ModeSymlink != 0: // as in /var/log/containers
			if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
				target := resolve(p)
				d.file(shown, target, info)
				d.dirs[filepath.Dir(target)] = true
				d.siblings(target)
			}
		}
		return nil
	})
}

func (d *discovery) file(shown, path string, info fs.FileInfo) {
	if info.Mode().IsRegular() {
		d.add(found{path: shown, real: resolve(path), info: info})
	}
}

func (d *discovery) add(f found) {
	if !d.seen[f.real] {
		d.seen[f.real] = true
		d.files = append(d.files, f)
	}
}

// siblings finds what a file was before it was rotated: its directory is not followed as a whole.
func (d *discovery) siblings(at string) {
	dir, base := filepath.Split(at)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || rotatedFrom(e.Name(), func(name string) bool { return name == base }) != base {
			continue
		}
		if info, err := e.Info(); err == nil {
			d.add(found{path: dir + e.Name(), real: dir + e.Name(), home: at, info: info})
		}
	}
}

// homes finds out which files are what others were, and leaves out those that were packed since.
func (d *discovery) homes() {
	kept := d.files[:0]
	for _, f := range d.files {
		dir, name := filepath.Split(f.real)
		if f.home == "" {
			f.home = f.real
			home := rotatedFrom(name, func(base string) bool { return d.seen[dir+base] || d.known(dir+base) })
			if home != "" {
				f.home = dir + home
			}
		}
		if f.rotated() && packedName(name) {
			continue
		}
		kept = append(kept, f)
	}
	d.files = kept
	// What a path was comes before what it is, oldest first.
	slices.SortFunc(d.files, func(a, b found) int {
		if c := strings.Compare(a.home, b.home); c != 0 {
			return c
		}
		switch {
		case a.rotated() != b.rotated() && a.rotated():
			return -1
		case a.rotated() != b.rotated():
			return 1
		}
		if c := a.info.ModTime().Compare(b.info.ModTime()); c != 0 {
			return c
		}
		return strings.Compare(a.real, b.real)
	})
}

// resolve returns a path without symbolic links, and the path itself when nothing is there.
func resolve(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if at, err := filepath.EvalSymlinks(path); err == nil {
		return at
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// rotatedFrom returns the name that a file had before it was rotated, if exists knows it, else "":
//
//	app.log.1, 0.log.20261125-221900, app.log-20261125, app.log.1.gz    from app.log, 0.log, app.log, app.log
//	app-20261125.log, app-2026-11-25T22-19-00.000.log                   from app.log
func rotatedFrom(name string, exists func(name string) bool) string {
	for i := 1; i < len(name); i++ {
		if (name[i] == '.' || name[i] == '-') && rotation(name[i+1:], 1) && exists(name[:i]) {
			return name[:i]
		}
	}
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for i := 1; i < len(stem); i++ {
		if stem[i] == '-' && rotation(stem[i+1:], 8) && exists(stem[:i]+ext) {
			return stem[:i] + ext
		}
	}
	return ""
}

// rotation reports whether a part of a name is what rotation adds: a number or a time of at least so many digits, or "old".
func rotation(s string, digits int) bool {
	for packedName(s) {
		s = strings.TrimSuffix(s, filepath.Ext(s))
	}
	if s == "old" {
		return digits == 1
	}
	n := 0
	for i := range len(s) {
		switch {
		case isDigit(s[i]):
			n++
		case !strings.ContainsRune("-_.:TZ", rune(s[i])):
			return false
		}
	}
	return n >= digits
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// packedName reports whether a file's name says that it is compressed, or is being so.
func packedName(name string) bool {
	switch filepath.Ext(name) {
	case ".gz", ".zst", ".bz2", ".xz", ".tmp":
		return true
	}
	return false
}
