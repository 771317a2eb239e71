package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// folder is a bucket on the local file system, by its root path.
type folder string

func (f folder) where(key string) string { return filepath.Join(string(f), filepath.FromSlash(key)) }

func (f folder) read(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(f.where(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, f.where(key))
	}
	return data, err
}

func (f folder) list(ctx context.Context, key, after string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(f.where(key))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); name > after && !strings.HasPrefix(name, temporaryPrefix) {
			names = append(names, name)
		}
	}
	return names, nil
}

const temporaryPrefix = ".tmp-"

func (f folder) write(ctx context.Context, key string, data []byte) error {
	temporary, err := f.temporary(ctx, key, data)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, f.where(key)); err != nil {
		os.Remove(temporary)
		return err
	}
	return syncFolder(filepath.Dir(f.where(key)))
}

// create decides by a link, which fails if another was first.
func (f folder) create(ctx context.Context, key string, data []byte) (won bool, err error) {
	temporary, err := f.temporary(ctx, key, data)
	if err != nil {
		return false, err
	}
	defer os.Remove(temporary)
	err = os.Link(temporary, f.where(key))
	switch {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.EPERM):
		return false, fmt.Errorf("%w: this file system seems to have no hard links, by which a registry tells who was first; put it on another one, or on s3://", err)
	case err != nil:
		return false, err
	}
	return true, syncFolder(filepath.Dir(f.where(key)))
}

// temporary writes data to a synced temporary file beside key.
func (f folder) temporary(ctx context.Context, key string, data []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	file, err := f.createTemporary(filepath.Dir(f.where(key)))
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
		os.Remove(filepath.Dir(file.Name())) // if it was made for this; it fails while something is in it
		return "", err
	}
	return file.Name(), nil
}

// createTemporary makes the folder too. It tries again if a Prune took the folder,
// empty as it was.
func (f folder) createTemporary(dir string) (file *os.File, err error) {
	for range 3 {
		if err = makeFolder(dir); err != nil {
			return nil, err
		}
		if file, err = os.CreateTemp(dir, temporaryPrefix); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return file, err
}

// makeFolder makes a folder and its parents, durably.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

// delete removes the folder of key too once it is empty.
func (f folder) delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Remove(f.where(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(f.where(key))
	err := syncFolder(dir)
	if os.Remove(dir) == nil { // it fails while something is in it
		return syncFolder(filepath.Dir(dir))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (f folder) stat(ctx context.Context, key string) (object, error) {
	if err := ctx.Err(); err != nil {
		return object{}, err
	}
	info, err := os.Stat(f.where(key))
	if errors.Is(err, fs.ErrNotExist) {
		return object{}, fmt.Errorf("%w: %s", ErrNotFound, f.where(key))
	}
	if err != nil {
		return object{}, err
	}
	return object{key, info.Size(), info.ModTime()}, nil
}

// leftovers are temporary files, those of writers at work among them.
func (f folder) leftovers(ctx context.Context) (left []object, err error) {
	err = filepath.WalkDir(string(f), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone meanwhile
		case err != nil:
			return err
		case entry.IsDir() || !strings.HasPrefix(entry.Name(), temporaryPrefix):
			return ctx.Err()
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		key, err := filepath.Rel(string(f), path)
		left = append(left, object{filepath.ToSlash(key), info.Size(), info.ModTime()})
		return err
	})
	return left, err
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
