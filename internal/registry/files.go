package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// Files returns what is at a URL of the kind that Open takes, or in a folder, for
// reading: what other programs have left there for an import. It fails if there is no
// such folder on this machine. Of S3 a file is in memory while it is open, and ctx ends
// its reading.
func Files(ctx context.Context, url string) (fs.FS, error) {
	b, _, err := openBucket(ctx, url)
	if err != nil {
		return nil, err
	}
	if f, ok := b.(folder); ok {
		info, err := os.Stat(string(f))
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no folder", string(f))
		}
		return os.DirFS(string(f)), err
	}
	return objects{ctx, b}, nil
}

// objects are those of a bucket, as files.
type objects struct {
	ctx context.Context // of all reading: fs.FS has no place for it
	bucket
}

func (o objects) Open(name string) (fs.File, error) {
	data, err := o.read(o.ctx, name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: notExist(err)}
	}
	return &openObject{bytes.NewReader(data), objectInfo{name: path.Base(name), size: int64(len(data))}}, nil
}

// ReadDir lists names alone, in their order: what is a folder there Open tells.
func (o objects) ReadDir(name string) ([]fs.DirEntry, error) {
	names, err := o.list(o.ctx, name, "")
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	var entries []fs.DirEntry
	for _, name := range names {
		if !strings.HasPrefix(name, temporaryPrefix) {
			entries = append(entries, fs.FileInfoToDirEntry(objectInfo{name: name}))
		}
	}
	return entries, nil
}

func notExist(err error) error {
	if errors.Is(err, ErrNotFound) {
		return errors.Join(err, fs.ErrNotExist)
	}
	return err
}

type openObject struct {
	*bytes.Reader
	info objectInfo
}

var _ io.ReaderAt = (*openObject)(nil)

func (f *openObject) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openObject) Close() error               { return nil }

type objectInfo struct {
	name string
	size int64
}

func (i objectInfo) Name() string       { return i.name }
func (i objectInfo) Size() int64        { return i.size }
func (i objectInfo) Mode() fs.FileMode  { return 0o444 }
func (i objectInfo) ModTime() time.Time { return time.Time{} }
func (i objectInfo) IsDir() bool        { return false }
func (i objectInfo) Sys() any           { return nil }
