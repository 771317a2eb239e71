package ratings

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const bufferSize = 256 << 10 // bytes; also the longest line

// maxUnpacked bounds each file of an archive, in bytes: see ErrTooLarge. Tests lower it.
var maxUnpacked int64 = 4 << 30

// table is an open file of a known layout, at its first line.
type table struct {
	name   string // for messages
	reader *bufio.Reader
	layout layout
	close  func() error
}

// candidate is a file that may hold what is looked for.
type candidate struct {
	name string
	open func() (io.ReadCloser, error)
}

// openTable opens the file of this kind that path is or holds. Files of the
// names that MovieLens gives them come first; otherwise content decides.
func openTable(path string, want kind) (*table, error) {
	files, closeAll, single, err := list(path)
	if err != nil {
		return nil, err
	}
	t, err := choose(files, want, single)
	if err != nil {
		return nil, errors.Join(err, closeAll())
	}
	if t == nil {
		return nil, errors.Join(fmt.Errorf("%s holds no %s (%s): %w", path, want, strings.Join(want.names(), ", "), ErrNoFile), closeAll())
	}
	closeFile := t.close
	t.close = func() error { return errors.Join(closeFile(), closeAll()) }
	return t, nil
}

// choose returns nil if no candidate is of the wanted kind.
func choose(files []candidate, want kind, single bool) (*table, error) {
	for _, file := range files {
		if single || want.isNamed(file.name) {
			return openCandidate(file, want, false)
		}
	}
	var found *table
	for _, file := range files {
		t, err := openCandidate(file, want, true)
		if err != nil {
			continue // a README, say
		}
		if found != nil {
			err := fmt.Errorf("both %s and %s hold %s: name one of them", found.name, t.name, want)
			return nil, errors.Join(err, found.close(), t.close())
		}
		found = t
	}
	return found, nil
}

// openCandidate opens a file and finds its layout. With strict, the first lines
// must all read as the wanted kind.
func openCandidate(file candidate, want kind, strict bool) (*table, error) {
	raw, err := file.open()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", file.name, err)
	}
	t := &table{name: file.name, close: raw.Close}
	t.reader, err = unpacked(raw)
	if err == nil {
		var sample []byte
		if sample, err = t.reader.Peek(bufferSize); err == io.EOF || err == bufio.ErrBufferFull {
			err = nil
		}
		if err == nil {
			t.layout, err = detect(sample, want, strict)
		}
	}
	if err != nil {
		return nil, errors.Join(inFile(t.name, 0, readError(err)), raw.Close())
	}
	if t.layout.bom {
		_, err = t.reader.Discard(len(utf8BOM))
	}
	return t, err
}

// unpacked returns a reader of the text, whether it is compressed or not.
func unpacked(raw io.Reader) (*bufio.Reader, error) {
	reader := bufio.NewReaderSize(raw, bufferSize)
	magic, err := reader.Peek(262)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) {
		return reader, nil
	}
	inner, err := gzip.NewReader(reader)
	if err != nil {
		return nil, err
	}
	reader = bufio.NewReaderSize(&limited{reader: inner, left: maxUnpacked}, bufferSize)
	if magic, _ := reader.Peek(262); len(magic) == 262 && bytes.HasSuffix(magic, []byte("ustar")) {
		return nil, errors.New("is a tar archive: unpack it and give its folder")
	}
	return reader, nil
}

// list returns the files that path is or holds, those with MovieLens' own names
// first, and whether path is a single file.
func list(path string) (files []candidate, closeAll func() error, single bool, err error) {
	nothing := func() error { return nil }
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, false, fmt.Errorf("looking for MovieLens data: %w", err)
	}
	if info.IsDir() {
		files, err = listFolder(path)
		if err == nil && len(files) == 1 && isZip(files[0].name) {
			return list(files[0].name) // a folder that holds a download, still packed
		}
		return files, nothing, false, err
	}
	if !isZip(path) {
		return []candidate{osFile(path)}, nothing, true, nil
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, nil, false, inFile(path, 0, readError(err))
	}
	for _, entry := range archive.File {
		if entry.Mode().IsRegular() && !strings.HasPrefix(entry.Name, "__MACOSX/") {
			files = append(files, zipEntry(path, entry))
		}
	}
	return files, archive.Close, len(files) == 1, nil
}

// listFolder lists a folder's text files, and its zip files if it has no others.
func listFolder(folder string) ([]candidate, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files, archives []candidate
	for _, entry := range entries {
		name := filepath.Join(folder, entry.Name())
		if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if strings.EqualFold(filepath.Ext(name), ".zip") && isZip(name) {
			archives = append(archives, osFile(name))
		} else {
			files = append(files, osFile(name))
		}
	}
	if len(files) == 0 {
		return archives, nil
	}
	return files, nil
}

func osFile(name string) candidate {
	return candidate{name: name, open: func() (io.ReadCloser, error) { return os.Open(name) }}
}

func zipEntry(archive string, entry *zip.File) candidate {
	return candidate{name: archive + ": " + entry.Name, open: func() (io.ReadCloser, error) {
		inner, err := entry.Open()
		if err != nil {
			return nil, err
		}
		return &limited{reader: inner, left: maxUnpacked}, nil
	}}
}

func isZip(name string) bool {
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	var magic [4]byte
	_, err = io.ReadFull(file, magic[:])
	return err == nil && string(magic[:]) == "PK\x03\x04"
}

// limited fails, rather than end, when more than left bytes come out of it.
type limited struct {
	reader io.ReadCloser
	left   int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.reader.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

func (l *limited) Close() error { return l.reader.Close() }

// readError adds to an error of reading what would mend it.
func readError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, gzip.ErrChecksum), errors.Is(err, zip.ErrChecksum),
		errors.Is(err, zip.ErrFormat), errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("the archive is cut short or damaged, get it again: %w", err)
	case errors.Is(err, bufio.ErrBufferFull):
		return fmt.Errorf("line is longer than %d KiB: is this a text file?", bufferSize>>10)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("not allowed to read it: %w", err)
	}
	return err
}

// inFile wraps an error with its place, unless it has one already.
func inFile(name string, line int, err error) error {
	if placed := (*FileError)(nil); err == nil || errors.As(err, &placed) {
		if placed != nil && placed.File == "" {
			placed.File = name
		}
		return err
	}
	return &FileError{File: name, Line: line, Err: err}
}

// kind is what a file holds.
type kind int

const (
	ratingsKind kind = iota
	tagsKind
	moviesKind
	linksKind
)

func (k kind) String() string { return [...]string{"ratings", "tags", "movies", "links"}[k] }

// names are what MovieLens calls files of this kind.
func (k kind) names() []string {
	return [...][]string{
		{"ratings.csv", "ratings.dat", "u.data"},
		{"tags.csv", "tags.dat"},
		{"movies.csv", "movies.dat", "u.item"},
		{"links.csv"},
	}[k]
}

func (k kind) isNamed(file string) bool {
	base := strings.ToLower(path.Base(filepath.ToSlash(file)))
	return slices.Contains(k.names(), strings.TrimSuffix(base, ".gz"))
}

// IsCollection reports whether path may hold several tables: a folder or a zip
// archive. Anything else is one file, or nothing.
func IsCollection(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.IsDir() || info.Mode().IsRegular() && isZip(path))
}
