package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/recsys-benthos/recsys-benthos/internal/message"
	"github.com/recsys-benthos/recsys-benthos/internal/model"
)

// ErrArchive is an import that is not what Export makes: a .tar file or folder with
// manifest.json and model.safetensors and nothing else, or a bare .safetensors file.
var ErrArchive = errors.New("unusable export")

// The files of an export, and how large they may be.
const (
	manifestFile = "manifest.json"
	modelFile    = "model.safetensors"

	maxManifestBytes = 1 << 20
	maxModelBytes    = 16 << 30
)

// Export writes a version to a .tar file, or to a folder if path does not end in
// ".tar", after verifying it. The path must not exist, and appears only complete.
func (r *Registry) Export(ctx context.Context, version, path string) (Manifest, error) {
	manifest, err := r.manifest(ctx, version)
	if err != nil {
		return manifest, err
	}
	data, err := r.modelFile(ctx, manifest)
	if err != nil {
		return manifest, err
	}
	text, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return manifest, err
	}
	if _, err := os.Lstat(path); err == nil {
		return manifest, fmt.Errorf("exporting version %s: %s exists; give another path", version, path)
	}
	temporary, err := os.MkdirTemp(filepath.Dir(path), temporaryPrefix)
	if err != nil {
		return manifest, fmt.Errorf("exporting version %s: %w", version, mend(err))
	}
	defer os.RemoveAll(temporary)
	write := exportFolder
	if strings.HasSuffix(path, ".tar") {
		write = exportTar
	}
	made, err := write(temporary, manifest, append(text, '\n'), data)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return manifest, fmt.Errorf("exporting version %s to %s: %w", version, path, mend(err))
	}
	return manifest, nil
}

func exportFolder(dir string, _ Manifest, manifest, model []byte) (made string, err error) {
	made = filepath.Join(dir, "export")
	f := folder(made)
	if err := f.write(context.Background(), modelFile, model); err != nil {
		return "", err
	}
	return made, f.write(context.Background(), manifestFile, manifest)
}

func exportTar(dir string, m Manifest, manifest, model []byte) (made string, err error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, file := range []struct {
		name string
		data []byte
	}{{manifestFile, manifest}, {modelFile, model}} {
		header := &tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.data)), ModTime: m.CreatedAt.Truncate(time.Second)}
		if err := w.WriteHeader(header); err != nil {
			return "", err
		}
		if _, err := w.Write(file.data); err != nil {
			return "", err
		}
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return filepath.Join(dir, "export"), folder(dir).write(context.Background(), "export", archive.Bytes())
}

// Import publishes what Export wrote to path, or a bare .safetensors file, for which a
// manifest is made as of at. It checks names, sizes, checksum and content before
// anything is written. isNew is false if the version was there already.
func (r *Registry) Import(ctx context.Context, path, tool string, at time.Time) (manifest Manifest, isNew bool, err error) {
	manifest, file, err := readExport(path, tool, at)
	if err == nil {
		manifest, isNew, err = r.publish(ctx, file, manifest)
	}
	if err != nil {
		return manifest, false, fmt.Errorf("importing %s: %w", path, err)
	}
	return manifest, isNew, nil
}

// readExport reads an export of any kind and checks it.
func readExport(path, tool string, at time.Time) (Manifest, []byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Manifest{}, nil, err
	}
	var files exported
	switch {
	case info.IsDir():
		files, err = readExportFolder(path)
	case strings.HasSuffix(path, ".safetensors"):
		return bareModel(path, tool, at)
	default:
		files, err = readExportTar(path)
	}
	if err != nil {
		return Manifest{}, nil, err
	}
	manifest, err := files.check()
	return manifest, files.model, err
}

// exported are the files of an export, nil where missing.
type exported struct{ manifest, model []byte }

// check compares manifest and model, of which neither is trusted.
func (e exported) check() (m Manifest, err error) {
	if e.manifest == nil || e.model == nil {
		return m, fmt.Errorf("%w: it has to hold %s and %s", ErrArchive, manifestFile, modelFile)
	}
	if err := decode(e.manifest, manifestFile, &m); err != nil {
		return m, err
	}
	if err := checkVersion(m.Version); err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrArchive, manifestFile, err)
	}
	sum := sha256.Sum256(e.model)
	if hex.EncodeToString(sum[:]) != m.SHA256 || int64(len(e.model)) != m.Bytes {
		return m, fmt.Errorf("%w: %s has %d bytes and sha256 %x, its manifest says %d and %s; export it again", ErrDamaged, modelFile, len(e.model), sum, m.Bytes, m.SHA256)
	}
	_, err = model.Decode(e.model)
	return m, err
}

func readExportFolder(path string) (e exported, err error) {
	for name, into := range map[string]*[]byte{manifestFile: &e.manifest, modelFile: &e.model} {
		if *into, err = readRegular(filepath.Join(path, name), limitOf(name)); err != nil {
			return e, err
		}
	}
	return e, nil
}

func limitOf(name string) int64 {
	if name == manifestFile {
		return maxManifestBytes
	}
	return maxModelBytes
}

// readRegular reads a file that is one, not a link to elsewhere.
func readRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no regular file", ErrArchive, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readLimited(file, path, limit)
}

// readLimited reads to the end, which has to come within the limit.
func readLimited(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrArchive, name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrArchive, name, limit)
	}
	return data, nil
}

func readExportTar(path string) (e exported, err error) {
	file, err := os.Open(path)
	if err != nil {
		return e, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return e, err
	}
	into := map[string]*[]byte{manifestFile: &e.manifest, modelFile: &e.model}
	archive := tar.NewReader(file)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return e, nil
		}
		if err != nil {
			return e, fmt.Errorf("%w: %w; it is no .tar file that was written to its end", ErrArchive, err)
		}
		data := into[header.Name]
		switch {
		case data == nil:
			return e, fmt.Errorf("%w: it holds %q; nothing but %s and %s is taken", ErrArchive, header.Name, manifestFile, modelFile)
		case header.Typeflag != tar.TypeReg:
			return e, fmt.Errorf("%w: %s is no regular file", ErrArchive, header.Name)
		case header.Size > info.Size(): // a sparse file, which Export never makes: a kilobyte would become gigabytes
			return e, fmt.Errorf("%w: it is of %d bytes, and %s in it of %d", ErrArchive, info.Size(), header.Name, header.Size)
		case *data != nil:
			return e, fmt.Errorf("%w: it holds %s twice", ErrArchive, header.Name)
		}
		if *data, err = readLimited(archive, header.Name, limitOf(header.Name)); err != nil {
			return e, err
		}
	}
}

// bareModel makes the manifest of a model that comes without one.
func bareModel(path, tool string, at time.Time) (manifest Manifest, file []byte, err error) {
	if file, err = readRegular(path, maxModelBytes); err != nil {
		return manifest, nil, err
	}
	m, err := model.Decode(file)
	if err != nil {
		return manifest, nil, err
	}
	sum := sha256.Sum256(file)
	f := m.Factors()
	var rated int64
	for _, count := range f.UserCounts {
		rated += int64(count)
	}
	const unmeasured = "imported without a manifest: nobody measured it here"
	manifest = Manifest{
		CreatedAt: at.UTC(), Algorithm: "imported", Parameters: json.RawMessage(fmt.Sprintf(`{"rank":%d}`, f.Rank)),
		Data:    Data{Source: filepath.Base(path), Ratings: rated, Users: len(f.Users), Movies: len(f.Movies)},
		Metrics: message.Metrics{Ratings: rated}, Verdict: unmeasured,
		Gate: &message.Verdict{Outcome: message.OutcomeUndecided, Reason: unmeasured},
		Tool: tool, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(file)),
	}
	manifest.Version = VersionName(at, manifest.SHA256)
	return manifest, file, nil
}
