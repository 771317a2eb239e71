package spark

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strings"
)

// maxMetadataBytes is more than any parameters take.
const maxMetadataBytes = 1 << 20

// Read reads a saved ALSModel whose folder is the root of files. It holds no more than
// the factors, once more those of one side while they are sorted, and, of storage
// that cannot be read from any place on, one part file. An error about the content
// wraps ErrModel and names the file.
func Read(ctx context.Context, files fs.FS) (*Model, error) {
	m := &Model{}
	if err := m.readMetadata(files); err != nil {
		return nil, err
	}
	for _, side := range []struct {
		folder string
		into   *Side
	}{{userFolder, &m.Users}, {itemFolder, &m.Items}} {
		if err := side.into.read(ctx, files, side.folder, m.Rank); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// visible lists the files of a folder as Spark does: names that begin with _ or .
// are markers and checksums.
func visible(files fs.FS, folder string) ([]string, error) {
	entries, err := fs.ReadDir(files, folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing %s: %w", folder, err)
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, ".") {
			names = append(names, path.Join(folder, name))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: there is no %s in it, or nothing in that; give the folder that ALSModel.save wrote, as a whole", ErrModel, folder)
	}
	return names, nil
}

func (m *Model) readMetadata(files fs.FS) error {
	names, err := visible(files, metadataFolder)
	if err != nil {
		return err
	}
	for _, name := range names { // parts without a line come of a session with many partitions
		text, err := readLimited(files, name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			return m.parseMetadata(name, text)
		}
	}
	return fmt.Errorf("%w: %s is empty; copy the folder again, or save the model again", ErrModel, names[0])
}

func readLimited(files fs.FS, name string) ([]byte, error) {
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxMetadataBytes+1))
	if err == nil && len(text) > maxMetadataBytes {
		err = fmt.Errorf("%w: it has more than %d bytes", ErrModel, maxMetadataBytes)
	}
	return text, err
}

func (s *Side) read(ctx context.Context, files fs.FS, folder string, rank int) error {
	names, err := visible(files, folder)
	if err != nil {
		return err
	}
	var origins []origin
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		origins = append(origins, origin{name, len(s.IDs)})
		if err := s.readFile(files, name, rank); err != nil {
			return err
		}
	}
	if len(s.IDs) == 0 {
		return fmt.Errorf("%w: no file in %s has a row; save the model again", ErrModel, folder)
	}
	return s.ascending(rank, origins)
}

// readFile adds the rows of a part file.
func (s *Side) readFile(files fs.FS, name string, rank int) error {
	content, size, done, err := open(files, name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	defer done()
	err = readRows(content, size, func(id int32, features []float32) error {
		if len(features) != rank {
			return fmt.Errorf("%w: id %d has %d features, and metadata says rank %d; save the model again", ErrModel, id, len(features), rank)
		}
		for _, x := range features {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
				return fmt.Errorf("%w: a feature of id %d is %v: the training diverged; train again, with another regParam or without the ratings that are no numbers", ErrModel, id, x)
			}
		}
		if len(s.IDs) == math.MaxInt32 {
			return fmt.Errorf("%w: there are more than %d rows", ErrModel, math.MaxInt32)
		}
		s.IDs, s.Factors = append(s.IDs, id), append(s.Factors, features...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// open returns the content of a file, to be read from any place on.
func open(files fs.FS, name string) (content io.ReaderAt, size int64, done func(), err error) {
	file, err := files.Open(name)
	if err != nil {
		return nil, 0, nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, 0, nil, err
	}
	if !info.Mode().IsRegular() {
		file.Close()
		return nil, 0, nil, fmt.Errorf("%w: it is no file; give the folder that ALSModel.save wrote", ErrModel)
	}
	if at, ok := file.(io.ReaderAt); ok {
		return at, info.Size(), func() { file.Close() }, nil
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	return bytes.NewReader(data), int64(len(data)), func() {}, err
}
