package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// folder is a bucket on the local file system, by its root path.
type folder string

func (f folder) path(key string) string { return filepath.Join(string(f), filepath.FromSlash(key)) }

// read returns the content of key, or ErrNotFound.
func (f folder) read(key string) ([]byte, error) {
	data, err := os.ReadFile(f.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, f.path(key))
	}
	return data, err
}

// list returns the names of what is in a folder, in order; none if there is no
// such folder.
func (f folder) list(key string) ([]string, error) {
	entries, err := os.ReadDir(f.path(key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), temporaryPrefix) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

const temporaryPrefix = ".tmp-"

// write stores data under key, durably and at once: a reader sees all or none.
func (f folder) write(key string, data []byte) error {
	temporary, err := f.temporary(key, data)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, f.path(key)); err != nil {
		os.Remove(temporary)
		return err
	}
	return syncFolder(filepath.Dir(f.path(key)))
}

// create stores data under key unless it exists, durably and at once; won is
// false if it exists. The link is what decides: it fails if another was first.
func (f folder) create(key string, data []byte) (won bool, err error) {
	temporary, err := f.temporary(key, data)
	if err != nil {
		return false, err
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, f.path(key)); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return false, nil
		}
		return false, err
	}
	return true, syncFolder(filepath.Dir(f.path(key)))
}

// temporary writes data to a synced temporary file beside key.
func (f folder) temporary(key string, data []byte) (string, error) {
	dir := filepath.Dir(f.path(key))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file, err := os.CreateTemp(dir, temporaryPrefix)
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if err == nil {
		err = file.Sync()
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closing := d.Close(); err == nil {
		err = closing
	}
	return err
}
